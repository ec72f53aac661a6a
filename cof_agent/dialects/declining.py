"""Answers that are none: the policy says that it cannot answer."""

from __future__ import annotations

import re

from cof_agent.dialects.profile import DECLINE

_MARKS = "*_`~#>\"'“”‘’«»()[]{} \t\r\n-–—•·.:;,"
"""What markdown, quotes and lists put around the words of an answer."""

_TRAIL = "*_`~\"'“”‘’ \t\r\n-–—:."
"""What is left out at the end of a reason."""

_HEAD = 200
"""Characters of an answer in which the words must begin."""

_SAID = DECLINE.replace(" ", r"\s+")
_WORDS = re.compile(rf"(?:(?:the |my )?(?:final )?answer\s*(?:is)?[\s:]+)?{_SAID}(?!\w)", re.I)
_EMPHASIS = re.compile(r"[*_`~]{1,3}")


def decline_of(answer: str) -> str | None:
    """The reason that an answer gives for being none; None where it is an answer.

    The words may stand in markdown: `**cannot answer**: too dark`, `> Cannot answer`. A reason may be empty.
    """
    start = answer.lstrip(_MARKS)
    head = _EMPHASIS.sub("", start[:_HEAD]).lstrip(_MARKS)
    found = _WORDS.match(head)
    if not found:
        return None
    rest = head[found.end() :] + start[_HEAD:]
    return rest.lstrip(_MARKS).rstrip(_TRAIL)


def declining(reason: str) -> str:
    """The answer with which a policy declines for this `reason`."""
    return f"{DECLINE}: {reason}"
