"""Under which settings and versions a run is made."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from cof_agent.loop.config import FocusConfig
from cof_agent.loop.state import RunInfo
from cof_agent.policies.policy import Policy

_RECORDED = ("cof-agent", "langgraph", "langchain-core", "pillow", "numpy", "transformers", "torch", "rapidocr")


@cache
def versions() -> dict[str, str]:
    """Installed versions of the packages that can change a run's outcome, by distribution name."""
    found = {}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def run_info(policy: Policy, limits: FocusConfig) -> RunInfo:
    """What state keeps of the settings of a run that begins now."""
    return RunInfo(
        policy=policy.name,
        dialect=policy.profile.dialect,
        tools=list(policy.profile.tools),
        prompts=policy.profile.prompts.digest,
        config=limits.model_dump(),
        versions=versions(),
        started=now(),
    )


def now() -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
