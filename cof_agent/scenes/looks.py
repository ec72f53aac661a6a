"""What a conversation about a scene has shown, taken from its messages."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from PIL import Image

from cof_agent.errors import PolicyError
from cof_agent.images.geometry import Box, Corners, Size
from cof_agent.scenes.legibility import counting_pixels
from cof_agent.scenes.reach import Outlook
from cof_agent.scenes.reading import ViewGrid

_Whole: TypeAlias = tuple[int, int, int, int]
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.S)


@dataclass(frozen=True, slots=True)
class SceneView:
    """One view."""

    data: bytes
    """Encoded, as it was sent."""
    box: Box
    """What it shows, in pixels of the source."""
    source: Size

    @property
    def sight(self) -> ViewGrid:
        return _sight(self.data, self.box, self.source)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:16]

    @property
    def magnification(self) -> float:
        """View pixels per source pixel, along the side where there are fewer."""
        width, height = self.sight.shown
        return min(width / self.box.width, height / self.box.height)

    def detail(self, place: Corners) -> float:
        """Side of what is at `place` (fractions of the source's sides), in pixels that count."""
        return counting_pixels(place, self.source, self.box, self.sight.shown)

    def holds(self, place: Corners) -> bool:
        """Whether it shows `place` whole."""
        (width, height), (x1, y1, x2, y2), noise = self.source, place, 1e-6
        across = self.box.x1 <= x1 * width + noise and x2 * width - noise <= self.box.x2
        return across and self.box.y1 <= y1 * height + noise and y2 * height - noise <= self.box.y2


@dataclass(frozen=True)
class SceneViews:
    """The views of a conversation and what is asked of the policy now."""

    views: tuple[SceneView, ...]
    """The overview first."""
    asked: tuple[_Whole, ...]
    """Boxes of the zooms that were asked for so far, in pixels of the overview."""
    refused: bool
    """Whether a zoom was refused."""
    offered: bool
    """Whether there is a tool to zoom with."""
    last_words: str
    """What the newest user turn says."""
    closing: str
    look_first: str

    @cached_property
    def may_zoom(self) -> bool:
        return self.offered and not self.refused and self.closing not in self.last_words

    @property
    def told_to_look(self) -> bool:
        """Whether an answer was refused because nothing had been looked at closely."""
        return self.look_first in self.last_words

    def closest(self, place: Corners) -> SceneView:
        """The view that shows `place` whole at the largest scale; the newest of several alike."""
        return max((view.magnification, number, view) for number, view in enumerate(self.views) if view.holds(place))[2]


def read_looks(messages: Sequence[BaseMessage], outlook: Outlook) -> SceneViews:
    """Take the messages of a conversation apart.

    Raises PolicyError when they hold no overview, or one of another size than `outlook` says.
    """
    views: list[SceneView] = []
    asked: list[_Whole] = []
    pending: list[_Whole] = []
    offered, refused, words = False, False, ""
    for message in messages:
        if isinstance(message, SystemMessage):
            offered = "<tools>" in message.text
        elif isinstance(message, AIMessage):
            pending = list(_boxes(message.text))
            asked += pending
        else:
            words = message.text
            for data in _pictures(message.content):
                if not views:
                    views.append(_overview(data, outlook))
                elif pending:
                    views.append(SceneView(data, outlook.region(pending.pop(0)).box, outlook.source))
            refused, pending = refused or bool(pending), []
    if not views:
        raise PolicyError("the observer was called without an image: the first user turn must hold one, as base64")
    prompts = outlook.profile.prompts
    return SceneViews(tuple(views), tuple(asked), refused, offered, words, prompts.closing, prompts.look_first)


def _overview(data: bytes, outlook: Outlook) -> SceneView:
    look = SceneView(data, Box.whole(outlook.source), outlook.source)
    if look.sight.shown != outlook.overview:
        (width, height), (w, h) = outlook.overview, look.sight.shown
        raise PolicyError(
            f"the observer was made for a source of {outlook.source[0]}x{outlook.source[1]} pixels, whose overview has "
            f"{width}x{height}, and was shown one of {w}x{h}: give observer_policy the source's size and the profile "
            "of the run"
        )
    return look


def _pictures(content: str | list[Any]) -> Iterator[bytes]:
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "image" and "base64" in block:
            yield base64.b64decode(block["base64"])


def _boxes(text: str) -> Iterator[_Whole]:
    """The boxes that an earlier turn of this policy asked for."""
    for inside in _CALL.findall(text):
        x1, y1, x2, y2 = map(int, json.loads(inside)["arguments"]["bbox_2d"])
        yield x1, y1, x2, y2


@lru_cache(maxsize=16)
def _sight(data: bytes, box: Box, source: Size) -> ViewGrid:
    return ViewGrid(Image.open(io.BytesIO(data)).convert("RGB"), box, source)
