"""Text and files of people who mean no good, or whose disk is failing."""

from __future__ import annotations

import re

HOSTILE = (
    "a\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\x90q\x9c\u202eb\u2066c\u200bd\ufeff\u2028e\x00\r\x7f\x08[red]x[/red][/] :bomb:"
)
"""OSC 52, CSI, C1, DCS, bidirectional and zero-width characters, NUL, CR, DEL, backspace, Rich's markup."""

HOSTILE_NAME = "n\x1b]52;c;aGk=\x07\x9b31m\u202eb\u200b\ncof-agent: saved[red][bold"
"""The same for the name of a file, with a line break that forges a line of its own."""

_COLOURS = re.compile(r"\x1b\[[\d;]*m")


def unclean(text: str) -> list[str]:
    """The characters of an output that may steer a terminal or hide in it; Rich's own colours are none."""
    return sorted({c for c in _COLOURS.sub("", text) if not (c.isprintable() or c in "\n\t\xa0\u202f\u3000")})
