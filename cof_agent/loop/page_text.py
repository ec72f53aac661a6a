"""Evidence from a page's own text: where the words of an answer stand on it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace

from cof_agent.errors import ImageError
from cof_agent.images.geometry import Box
from cof_agent.images.region_source import Word
from cof_agent.images.source_image import SourceImage
from cof_agent.loop.ending import Ending
from cof_agent.loop.state import Evidence

_SOURCE = "page_text"

_TELLS_NOTHING = frozenset({"yes", "no", "none", "true", "false"})
"""Answers that say what a page does not: where such a word stands on it, proves nothing."""


def with_page_text(ending: Ending, source: Callable[[int], SourceImage]) -> Ending:
    """The ending with the place of its answer on the page, where the view looked at last is all its evidence.

    The answer must stand in the page's own text inside of that view, and there only once. The ending itself where it
    does not, for an image without text of its own, and where that cannot be read any more. `source` opens the image of
    a number.
    """
    if ending.answer is None or [item["source"] for item in ending.evidence] != ["last_view"]:
        return ending
    (seen,) = ending.evidence
    try:
        opened = source(seen.get("image_index", 0))
        words = opened.words(Box(*seen["box"])) if opened.has_words else []
    except ImageError:  # what was looked at last is still true
        return ending
    places = places_of(ending.answer, words)
    if len(places) != 1:
        return ending
    found: Evidence = {**seen, "box": places[0].as_list(), "source": _SOURCE}
    return replace(ending, evidence=(found,))


def places_of(answer: str, words: list[Word]) -> list[Box]:
    """Where an answer stands in a text, whatever its capitals, spaces and punctuation. No word counts in part."""
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
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


def _around(boxes: list[Box]) -> Box:
    return Box(
        min(box.x1 for box in boxes), min(box.y1 for box in boxes),
        max(box.x2 for box in boxes), max(box.y2 for box in boxes),
    )  # fmt: skip
