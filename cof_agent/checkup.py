"""Whether all that one policy needs is here: packages, weights, memory, key, server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from cof_agent.dialects import load_profile
from cof_agent.doctor import install, missing
from cof_agent.errors import CofError, ConfigError
from cof_agent.policies import KINDS
from cof_agent.policies.known import known_profile
from cof_agent.profile import Profile

_SERVER_SECONDS = 10.0
"""A server that does not list its models within this is taken for one that is not there."""

_SHARE = 0.9
"""Share of a device's memory that weights may take: images and the cache of the conversation need the rest."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a policy needs."""

    ok: bool
    what: str
    remedy: str | None = None

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{'ok     ' if self.ok else 'missing'}  {self.what}" + (f": {self.remedy}" if self.remedy else "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check_policy(spec: str, base_url: str | None = None, key: str | None = None) -> list[Check]:
    """What `load_policy(spec, base_url=…)` and its first question would need, without loading any weights.

    Asks the server at `base_url` for its models, with `key`; nothing else leaves the machine. Raises ConfigError for a
    spec of no known form.
    """
    kind, _, rest = spec.partition(":")
    if spec == "reader":
        return [_extra("reader")]
    if kind == "script" and rest:
        return [_script(rest)]
    if kind == "hf" and rest:
        return [_extra("local"), *_checkpoint(rest)]
    if kind and rest:
        extra = "openai" if kind == "openai" else "providers"
        return [_extra(extra), *_endpoint(kind, rest, base_url, key), _spoken_to(known_profile(rest), "its name")]
    raise ConfigError(f"no policy is named {spec!r}: choose one of {KINDS}")


def _extra(name: str) -> Check:
    lacking = sorted(set(missing(name)))
    if lacking:
        return Check(False, f"extra {name} ({', '.join(lacking)})", install(name))
    return Check(True, f"extra {name}")


def _script(path: str) -> Check:
    from cof_agent.policies.script import load_script

    try:
        load_script(path)
    except CofError as error:
        return Check(False, f"script {path}", str(error))
    return Check(True, f"script {path}")


def _spoken_to(profile: Profile, told_by: str) -> Check:
    return Check(True, f"dialect {profile.dialect}, as {told_by} says (--dialect, --profile replace it)")


def _checkpoint(rest: str) -> Iterator[Check]:
    name, _, revision = (rest, "", "") if os.path.isdir(rest) else rest.partition("@")
    directory = Path(name) if os.path.isdir(name) else _in_the_cache(name, revision or None)
    if directory is None:
        at = f" --revision {revision}" if revision else ""
        yield Check(False, f"checkpoint {rest} on this machine", f"hf download {name}{at}, or give its directory")
        yield _spoken_to(known_profile(name), "its name")
        return
    weights = sorted(directory.glob("*.safetensors"))
    if not weights:
        yield Check(False, f"weights in {directory}", "only safetensors are read: convert or download them")
        return
    size = sum(file.stat().st_size for file in weights)
    yield Check(True, f"checkpoint {directory}, {_gigabytes(size)} of weights")
    yield from _memory(size)
    try:
        model_type = json.loads((directory / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError) as error:
        yield Check(False, f"{directory / 'config.json'} ({error})", "download the checkpoint again")
        return
    if (directory / "focus.json").is_file():
        yield _spoken_to(load_profile(directory / "focus.json"), "its focus.json")
    else:
        yield _spoken_to(known_profile(name, model_type), f"its name or its type {model_type}")


def _in_the_cache(name: str, revision: str | None) -> Path | None:
    """The snapshot of a checkpoint in the hub's cache, if there is one."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError:
        return None
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _memory(weights: int) -> Iterator[Check]:
    """Whether weights of so many bytes, as stored, fit the device that would be chosen."""
    try:
        import torch
    except ImportError:
        return
    if torch.cuda.is_available():
        free, device = torch.cuda.mem_get_info()[0], torch.cuda.get_device_name()
    else:
        free, device = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "the CPU"
        weights *= 2  # stored as bfloat16 as a rule, computed with as float32
    what = f"memory: {_gigabytes(weights)} of weights on {device} with {_gigabytes(free)}"
    if weights <= _SHARE * free:
        yield Check(True, what)
    else:
        yield Check(False, what, "a smaller checkpoint, --option dtype=bfloat16, or a server (openai:MODEL --base-url)")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _endpoint(kind: str, model: str, base_url: str | None, key: str | None) -> Iterator[Check]:
    if kind == "openai":
        if key:
            yield Check(True, "key OPENAI_API_KEY")
        elif base_url is None:
            yield Check(False, "key OPENAI_API_KEY", "set it, or name a server of your own with --base-url")
    if base_url is not None:
        yield _server(model, base_url, key)


def _server(model: str, base_url: str, key: str | None) -> Check:
    try:
        reply = httpx.get(
            f"{base_url.rstrip('/')}/models",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_SERVER_SECONDS,
        )
        reply.raise_for_status()
        served = [str(item["id"]) for item in reply.json()["data"]]
    except httpx.HTTPStatusError as error:
        hint = "the address usually ends in /v1" if error.response.status_code == 404 else "see the server's log"
        return Check(False, f"server {base_url} (it says {error.response.status_code} to /models)", hint)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Check(False, f"server {base_url} ({type(error).__name__})", "start it, or correct the address")
    except (ValueError, KeyError, TypeError):
        return Check(False, f"server {base_url} (its /models is not a list of models)", "correct the address")
    if model not in served:
        return Check(False, f"model {model} on {base_url}", f"it serves {', '.join(served) or 'none'}")
    return Check(True, f"server {base_url} with model {model}")
