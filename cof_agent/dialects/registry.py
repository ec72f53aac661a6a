"""How policies write thoughts, calls and answers. One file a dialect."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.turn import Call, Dialect, Turn
from cof_agent.errors import ConfigError
from cof_agent.files import parse_json

__all__ = [
    "DIALECTS",
    "Call",
    "Dialect",
    "Turn",
    "check_names_images",
    "default_profile",
    "get_dialect",
    "load_profile",
    "parse_profile",
    "unwritten",
]

DIALECTS = ("cof", "cof-v1", "deepeyes", "mini-o3", "pixel-reasoner", "qwen3", "qwen3.5", "sensenova-mars", "native")
"""Names of the dialects."""


_IN_MODULES = str.maketrans("-.", "__")


def get_dialect(name: str) -> Dialect:
    """The dialect of that name. Raises ConfigError for an unknown one."""
    dialect: Dialect = _module(name).DIALECT
    return dialect


def check_names_images(profile: Profile, count: int, policy: str | None = None) -> None:
    """Raise ConfigError where a question has `count` images and a call of the profile could name the first one only.

    The error names the `policy`, where it is told.
    """
    if count < 2 or get_dialect(profile.dialect).names_images(profile):
        return
    who = f" for the policy {policy}" if policy else ""
    learnt = ", or set several_images in its profile if the policy was made for that" * (profile.dialect == "cof")
    raise ConfigError(
        f"a question with {count} images{who}: a call of the dialect {profile.dialect} cannot say which image "
        "it looks at. Ask one question for each image, or use the policy reader, or one of a dialect that names "
        f"images: qwen3, qwen3.5, pixel-reasoner or native{learnt}"
    )


def unwritten(dialect: str) -> str | None:
    """Why nothing can be learnt from what is said in a dialect; None where calls are text."""
    if not get_dialect(dialect).binds_tools:
        return None
    return (
        f"calls of the dialect {dialect} are the server's own and no text to learn: let the policy use a dialect that "
        "writes them, such as cof"
    )


def default_profile(name: str) -> Profile:
    """The profile of policies that were published with that dialect. Raises ConfigError for an unknown one."""
    profile: Profile = _module(name).PROFILE
    return profile


def parse_profile(value: object, where: str) -> Profile:
    """A profile from its JSON value; what it leaves out is as the default profile of its dialect (`cof`) has it.

    Raises ConfigError that names `where` it stood and the field.
    """
    if not isinstance(value, dict):
        return Profile.parse(value, where)
    dialect = value.get("dialect", "cof")
    if not isinstance(dialect, str):
        return Profile.parse(value, where)
    known = default_profile(dialect).model_dump(mode="json")
    return Profile.parse(_over(known, value), where)


def load_profile(path: str | Path) -> Profile:
    """Read a profile from a JSON file. Raises ConfigError that names the file and the field."""
    try:
        value = parse_json(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"profile {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"profile {path} is not JSON: {error}") from error
    return parse_profile(value, f"profile {path}")


def _over(known: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`known` with what is `given` put over it, objects inside it too."""
    merged = dict(known)
    for name, value in given.items():
        inner = known.get(name)
        merged[name] = _over(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _module(name: str) -> ModuleType:
    if name not in DIALECTS:
        raise ConfigError(f"no dialect is named {name!r}: choose one of {', '.join(DIALECTS)}")
    return importlib.import_module(f"cof_agent.dialects.{name.translate(_IN_MODULES)}")
