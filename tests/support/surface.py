"""All that users rely on, as one JSON value.

`python -m tests.support.surface` writes the record that tests compare with.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import cof_agent
from cof_agent.cli.app import app
from cof_agent.dialects import DIALECTS, default_profile
from cof_agent.dialects.tools import image_tools

RECORD = Path(__file__).parents[1] / "data" / "surface.json"
CALL = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [20, 20, 80, 60]}}
ZOOM = f"<think>far</think><tool_call>{json.dumps(CALL)}</tool_call>"
ANSWER = "<think>near</think><answer>nine</answer>"
DECLINE = "<think>no</think><answer>Cannot answer: there is no sign.</answer>"


def surface() -> dict[str, Any]:
    """Names, help texts, exit codes, JSON keys, prompts and tools, as they are now."""
    profiles = {name: default_profile(name) for name in DIALECTS}
    with TemporaryDirectory() as folder:
        runs = dict(_runs(Path(folder)))
    return {
        "names": list(cof_agent.__all__),
        "help": {command: _help(command) for command in ("", *get_command(app).commands)},  # type: ignore[attr-defined]
        "runs": runs,
        "prompts": {name: profile.prompts.digest for name, profile in profiles.items()},
        "profiles": {name: profile.model_dump(mode="json") for name, profile in profiles.items()},
        "tools": {name: [_tool(tool) for tool in image_tools(profile)] for name, profile in profiles.items()},
    }


def _help(command: str) -> list[str]:
    """The words of a help text and their order, without the frame that depends on the terminal's width."""
    plain = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "120"}
    text = CliRunner().invoke(app, [*command.split(), "--help"], env=plain).output
    return [words for line in text.splitlines() if (words := " ".join(line.strip("│╭╮╰╯─ ").split()))]


def _tool(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "schema": tool.args_schema.model_json_schema()}


def _runs(folder: Path) -> Any:
    """The exit code of commands, and the keys of the JSON that they print."""
    image, turns = folder / "wall.png", folder / "turns.json"
    Image.linear_gradient("L").resize((280, 196)).save(image)
    turns.write_text(json.dumps([ZOOM, ANSWER] * 200))
    declining, endless = folder / "declining.json", folder / "endless.json"
    declining.write_text(json.dumps([DECLINE]))
    endless.write_text(json.dumps([ZOOM] * 20))
    questions = folder / "questions.jsonl"
    row = {"image": "wall.png", "question": "Until when?", "answer": "nine"}
    questions.write_text("".join(json.dumps(row | {"id": str(n)}) + "\n" for n in range(3)))
    policy, keep = ["--policy", f"script:{turns}"], ["--keep", f"{folder}/kept.sqlite", "--thread", "t"]
    asked = ["ask", str(image), "Until when?"]
    collected = ["collect", "scenes:train", "--policy", "observer", "--count", "3"]
    evaluated = ["--resolutions", "196", "--concurrency", "1", "--out"]
    for name, words in {
        "ask": [*asked, *policy],
        "ask --json": [*asked, *policy, "--json", "--save", f"{folder}/saved"],
        "ask declined": [*asked, "--policy", f"script:{declining}", "--json"],
        "ask out of budget": [*asked, "--policy", f"script:{endless}", "--max-zooms", "1", "--json"],
        "ask kept": [*asked, *policy, *keep],
        "ask failed": ["ask", f"{folder}/none.png", "Until when?", *policy, "--json"],
        "ask usage": [*asked, "--policy", "nobody", "--json"],
        "ask bad option": [*asked, *policy, "--no-such-option"],
        "chat": ["chat", str(image), "-q", "Until when?", *policy],
        "history": ["history", f"{folder}/kept.sqlite", "--json"],
        "doctor": ["doctor", "--json"],
        "doctor policy": ["doctor", f"script:{turns}", "--json"],
        "doctor missing": ["doctor", f"script:{folder}/none.json", "--json"],
        "profile": ["profile", "cof"],
        "profile unknown": ["profile", "none"],
        "eval": ["eval", f"jsonl:{questions}", *policy, *evaluated, f"{folder}/run", "--json"],
        "eval unknown": ["eval", "nothing", *policy],
        "eval direct": ["eval", f"jsonl:{questions}", *policy, "--mode", "direct", *evaluated, f"{folder}/direct"],
        "compare": ["compare", f"{folder}/run", f"{folder}/direct", "--json"],
        "scenes": ["scenes", f"{folder}/scenes", "--count", "2", "--resolution", "224"],
        "collect": [*collected, "--json", *evaluated[2:], f"{folder}/collected"],
        "export": ["export", f"{folder}/collected", "--to", "sharegpt", "--out", f"{folder}/exported"],
        "export nothing": ["export", f"{folder}/none", "--out", f"{folder}/empty"],
    }.items():  # fmt: skip
        done = CliRunner().invoke(app, words)
        yield name, {"exit": done.exit_code, "json": _printed(done.stdout)}


def _printed(text: str) -> Any:
    try:
        return _keys(json.loads(text))
    except ValueError:
        return None


def _keys(value: Any) -> Any:
    """The keys of a JSON value, in order, and those inside; of a list, its first item's."""
    if isinstance(value, dict):
        return {name: _keys(item) for name, item in value.items()}
    return [_keys(value[0])] if isinstance(value, list) and value else type(value).__name__


if __name__ == "__main__":
    os.environ.pop("COF_POLICY", None)
    RECORD.write_text(json.dumps(surface(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
