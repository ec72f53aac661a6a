"""Which versions a run was made with."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

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
