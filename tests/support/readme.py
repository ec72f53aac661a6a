"""The code that README.md shows."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def snippet(heading: str) -> str:
    """The first Python under a heading."""
    section = README.read_text(encoding="utf-8").partition(f"### {heading}\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.S)
    assert found
    return found[1]
