"""Our words for tools and images, said in a policy's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_OURS = re.compile(
    r"the views are numbered 0 to (?P<last>\d+)"
    r"|\bview (?P<number>-?\d+)"
    r"|(?P<tool>\bimage_(?:zoom_in|crop)_tool\b)"
    r"|\bview\b"
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy calls the tool, the argument that names an image, and the images."""

    tool: str
    argument: str
    image: Callable[[int], str]
    """Name of an image, by the number of its view: 0 is the overview."""

    def say(self, text: str) -> str:
        """An observation's text in these terms."""
        return _OURS.sub(self._theirs, text)

    def _theirs(self, match: re.Match[str]) -> str:
        if match["last"]:
            return f"the images are {self.image(0)} to {self.image(int(match['last']))}"
        if match["number"]:
            return self.image(int(match["number"]))
        return self.tool if match["tool"] else self.argument
