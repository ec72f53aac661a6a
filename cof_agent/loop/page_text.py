"""A page's own text: where the words of an answer stand on it, and which words a view shows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from cof_agent.errors import ImageError
from cof_agent.images.geometry import Box, to_view
from cof_agent.images.limits import ImageLimits
from cof_agent.images.reference import OBJECT, ImageRef
from cof_agent.images.region_source import Word
from cof_agent.images.source_kinds import PDF, kind_named
from cof_agent.images.store import ImageStore
from cof_agent.images.time_limit import images_within
from cof_agent.images.views import RegionPixels, View, cut_region
from cof_agent.loop.ending import Ending
from cof_agent.loop.overview import open_original
from cof_agent.loop.state import Evidence, FocusState, originals_of
from cof_agent.policies.policy import Policy

_SOURCE = "page_text"

_COUNTS = re.compile(r"[^\W_]|(?<=\d)[.,:/](?=\d)|(?<!\S)-(?=\d)")
"""12.50 is not 1250, nor -5 what 5 is."""

_TELLS_NOTHING = frozenset({"yes", "no", "none", "true", "false"})
"""Answers that say what a page does not: where such a word stands on it, proves nothing."""


Words: TypeAlias = Callable[[int, Box | None], list[Word]]
"""The words of an image's own text, by the image's number: those in a box (original pixels), or all."""


def words_of(
    state: FocusState, store: ImageStore, limits: ImageLimits, image_index: int, box: Box | None = None
) -> list[Word]:
    """The words in `box` of an original of a conversation. An image of a kind that has none is not opened for them.

    Raises ImageError where it cannot be read any more.
    """
    ref = ImageRef.from_json(originals_of(state)[image_index])
    if kind_named(ref) is not PDF and ref.mime_type != OBJECT:
        return []
    return open_original(state, store, limits, image_index).words(box or Box.whole(ref.size))


def with_page_text(ending: Ending, words: Words) -> Ending:
    """The ending with the place of its answer on the page, where the view looked at last is all its evidence.

    The answer must stand in the page's own text inside of that view, and there only once. The ending itself where it
    does not, for an image without text of its own, and where that cannot be read any more.
    """
    if ending.answer is None or [item["source"] for item in ending.evidence] != ["last_view"]:
        return ending
    (seen,) = ending.evidence
    try:
        places = places_of(ending.answer, words(seen.get("image_index", 0), Box(*seen["box"])))
    except ImageError:  # what was looked at last is still true
        return ending
    if len(places) != 1:
        return ending
    found: Evidence = {**seen, "box": places[0].as_list(), "source": _SOURCE}
    return replace(ending, evidence=(found,))


def words_in_views(
    policy: Policy, words: Words, region_pixels: RegionPixels, seconds: float
) -> Callable[[View], list[Any]] | None:
    """What finds the words of a page's own text in a view, for a policy that asks for them; None for any other.

    Each word is its text and its x1, y1, x2, y2 in view pixels; one at an edge may reach outside. There are none for an
    image without text, where that cannot be read in `seconds`, and for regions that do not show what is there.
    """
    if not policy.page_text:
        return None
    pages: dict[int, list[Word]] = {}  # of each image, so that a page is read once for all its views

    def shown(view: View) -> list[Any]:
        if not view.is_overview and region_pixels is not cut_region:
            return []
        if view.image_index not in pages:
            pages[view.image_index] = _all_of(words, view.image_index, seconds)
        return [
            [text, [*to_view(box, view.shown, view.box)]]
            for text, box in pages[view.image_index]
            if box.intersection(view.box)
        ]

    return shown


def _all_of(words: Words, image_index: int, seconds: float) -> list[Word]:
    try:
        with images_within(seconds):
            return words(image_index, None)
    except ImageError:  # the view is there all the same
        return []


def places_of(answer: str, words: list[Word]) -> list[Box]:
    """Where an answer stands in a text, whatever its capitals, spaces and punctuation. No word counts in part.

    What stands between the digits of a number counts, and so does its sign.
    """
    wanted = _bare(answer)
    if len(wanted) < 2 or wanted in _TELLS_NOTHING:
        return []
    bare = [_bare(text) for text, _ in words]
    found = []
    for first in range(len(words)):
        said = ""
        for last in range(first, len(words)):
            said += bare[last]
            if said == wanted and bare[first] and bare[last]:
                found.append(_around([box for _, box in words[first : last + 1]]))
            if not wanted.startswith(said) or said == wanted:
                break
    return found


def _bare(text: str) -> str:
    """Letters and digits, and the signs that make another number of the same digits."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("\N{MINUS SIGN}", "-")
    return "".join(_COUNTS.findall(plain))


def _around(boxes: list[Box]) -> Box:
    return Box(
        min(box.x1 for box in boxes), min(box.y1 for box in boxes),
        max(box.x2 for box in boxes), max(box.y2 for box in boxes),
    )  # fmt: skip
