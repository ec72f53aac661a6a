"""Values as JSON in UTF-8."""

from __future__ import annotations

import json
from typing import Any


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """`value` as JSON that ends with a newline. What UTF-8 cannot hold (half of a surrogate pair) becomes an escape."""
    return json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "backslashreplace") + b"\n"
