"""The command `deploy`."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from cof_agent.cli.options import PolicyOption, failures
from cof_agent.cli.output import say
from cof_agent.errors import ConfigError

MODULE = '''"""The loop as an assistant: a conversation about images, sent in messages or named under `image`.

`COF_POLICY` names the policy (default: reader), `COF_IMAGES` the directory that keeps what it was shown, `COF_ROOTS`
the directories below which files may be opened (default: anywhere). Context: the limits of a question, and whether a
person is asked before a zoom.
"""

from __future__ import annotations

import os

from cof_agent import DirectoryStore, ImageLimits, load_policy
from cof_agent.images.limits import named_roots
from cof_agent.integrations.assistant import assistant_graph

graph = assistant_graph(
    load_policy(os.environ.get("COF_POLICY", "reader")),
    store=DirectoryStore(os.environ.get("COF_IMAGES", ".langgraph_api/cof_images")),
    limits=ImageLimits(roots=named_roots(os.environ.get("COF_ROOTS"))),
)
'''
"""The module of the graph."""


def deploy_command(
    directory: Annotated[Path, typer.Argument(help="A directory, which is made where it is not there.")],
    policy: PolicyOption = "reader",
    root: Annotated[
        list[Path] | None,
        typer.Option(help="A directory whose images may be opened by path; repeatable. Without one, none may."),
    ] = None,
) -> None:
    """Write what a LangGraph server needs to serve the loop as an assistant: `langgraph dev` runs there.

    Files that are there already stay: the command ends with an error if one of them is another one.
    """
    with failures("what is there was written whole"):
        from cof_agent.policies.kinds import kind_of

        kind, rest = kind_of(policy)
        if rest and Path(rest).exists():  # the server runs elsewhere
            policy = f"{kind.name}:{Path(rest).resolve()}"
        extra = kind.extra
        roots = os.pathsep.join(str(_directory(path)) for path in root or ())
        files = {
            "langgraph.json": json.dumps(_settings(), indent=2) + "\n",
            "chain_of_focus.py": MODULE,
            "requirements.txt": f"cof-agent{f'[{extra}]' if extra else ''}=={version('cof-agent')}\n",
            ".env": f"COF_POLICY={_quoted(policy)}\nCOF_ROOTS={_quoted(roots)}\n",
        }
        _write(directory, files)
    say(f"wrote {', '.join(files)} to {directory}", err=True)
    say(f'next: pip install "cof-agent[serve]", cd {directory}, langgraph dev --no-browser', err=True)


def _settings() -> dict[str, object]:
    """What `langgraph.json` says."""
    return {
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "dependencies": ["."],
        "graphs": {"chain_of_focus": "./chain_of_focus.py:graph"},
        "env": ".env",
    }


def _quoted(value: str) -> str:
    """As a file of variables has it. Raises ConfigError for what such a file cannot hold."""
    if re.fullmatch(r"[\w:/.@+,-]*", value):
        return value
    if "'" in value or not value.isprintable():
        raise ConfigError(f"{value!r:.200} cannot be written to .env: name it without quotes")
    return f"'{value}'"


def _directory(path: Path) -> Path:
    if not path.is_dir():
        raise ConfigError(f"--root {path} is no directory: name one that exists")
    return path.resolve()


def _write(directory: Path, files: dict[str, str]) -> None:
    """Write each file, unless it is there already. Raises ConfigError where another one is, before any is written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            if (path := directory / name).exists() and path.read_bytes() != text.encode():
                raise ConfigError(f"{path} is there already, and another one: name a new directory, or move it away")
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be written ({error.strerror or error}): name another directory"
        ) from error
