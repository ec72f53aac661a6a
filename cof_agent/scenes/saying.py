"""What the ideal observer says: thoughts, calls and answers in the dialect `cof`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Literal, TypeAlias

from cof_agent.dialects.profile import DECLINE
from cof_agent.scenes.palette import pick
from cof_agent.scenes.question import Kind
from cof_agent.scenes.wording import Name

Reason: TypeAlias = Literal["small", "both", "one", "next", "told"]
"""Why it looks closer: the object is too small, both are and lie together, one of two is, the second one is as well,
or it was told to."""

_LOOKING: dict[Reason, tuple[str, ...]] = {
    "small": (
        "The {a} is too small to tell here. I look closer.",
        "I cannot make out the {a} from here, so I look closer.",
        "At this size the {a} cannot be told for sure. A closer look will help.",
    ),
    "both": (
        "The {a} and the {b} are too small to tell apart here. I look closer at both.",
        "I must be sure which is the {a} and which is the {b}. One closer look shows both.",
    ),
    "one": (
        "I must tell the {a} from the {b}, and what is here is too small. I look closer.",
        "This may be the {a} or the {b}. I look closer to be sure.",
    ),
    "next": ("Now the other one.", "I look at the other object as well.", "The other one must be seen closely too."),
    "told": ("I look closer to be sure.", "I am to look closely first, so I do.", "A closer look makes this certain."),
}
_SEEN = {
    False: ("This is large enough to tell: {what}.", "I can see it well from here: {what}.", "Here {what}."),
    True: ("Now I can see it: {what}.", "The closer look shows that {what}.", "Seen closely, {what}."),
}
_GUESSED = (
    "I cannot tell for sure. My best guess is that {what}.",
    "It is too small to be sure. Most likely {what}.",
)
_UNSEEN = (
    "Even the closest look that helps does not show the {it} well enough.",
    "The image does not have enough detail to tell the {it}.",
)
_ABSENT = {
    False: (
        "There is no {it} here.",
        "I see no {it} in this picture.",
        "I looked for the {it}, and there is none.",
        "Everything here is large enough to tell, and there is no {it} among it.",
        "The question is about the {it}, but the picture has none.",
    ),
    True: ("There is no {it} here either.", "A closer look shows no {it}.", "Seen closely, there is still no {it}."),
}
_ABSENT_REASONS = ("there is no {it}", "the picture has no {it}", "no {it} can be seen")
_FOREIGN = {
    False: (
        "The picture does not show what is asked.",
        "There are only coloured shapes here, and none of them tells that.",
        "What is asked about is not to be seen here.",
        "Nothing in this picture tells that.",
        "I see shapes with characters on them, but not what the question is about.",
    ),
    True: (
        "A closer look does not show what is asked either.",
        "Seen closely, there are still only shapes.",
        "Nothing here tells that, however closely I look.",
    ),
}
_FOREIGN_REASONS = (
    "the picture does not show what is asked",
    "nothing in the picture tells that",
    "what is asked about is not in the picture",
)


def zooming(corners: tuple[int, int, int, int], names: Sequence[Name], reason: Reason, rng: Random) -> str:
    """A turn that zooms on `corners` (pixels of the overview), for a `reason`, to see what `names` call."""
    thought = pick(rng, _LOOKING[reason])
    return calling(thought.format(a=names[0], b=names[-1]) if names else thought, corners)


def calling(thought: str, corners: tuple[int, int, int, int]) -> str:
    """A turn that zooms on `corners` (pixels of the overview) after a `thought`."""
    call = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": list(corners)}}
    return f"<think>{thought}</think><tool_call>{json.dumps(call)}</tool_call>"


def answering(kind: Kind, names: Sequence[Name], value: str, answer: str, sure: bool, close: bool, rng: Random) -> str:
    """A turn that answers `answer`, which stands for `value`; `close` says whether it had looked closer."""
    what = _statement(kind, names, value)
    thought = pick(rng, _SEEN[close] if sure else _GUESSED).format(what=what)
    if answer != value:
        thought += f" {value} is option {answer}."
    return f"<think>{thought}</think><answer>{answer}</answer>"


def declining(names: Sequence[Name], rng: Random) -> str:
    """A turn that says that the image cannot tell."""
    it = " and the ".join(map(str, names))
    thought = pick(rng, _UNSEEN).format(it=it)
    return f"<think>{thought}</think><answer>{DECLINE}: the {it} cannot be told at this size</answer>"


def refusing(names: Sequence[Name], close: bool, rng: Random) -> str:
    """A turn that says that the question has no answer here: what `names` calls is missing, or none is named.

    `close` says whether it had looked closer.
    """
    forms, reasons = (_ABSENT, _ABSENT_REASONS) if names else (_FOREIGN, _FOREIGN_REASONS)
    it = names[0] if names else ""
    thought, reason = pick(rng, forms[close]).format(it=it), pick(rng, reasons).format(it=it)
    return f"<think>{thought}</think><answer>{DECLINE}: {reason}</answer>"


def _statement(kind: Kind, names: Sequence[Name], value: str) -> str:
    if kind is Kind.CHARACTER:
        return f"the character on the {names[0]} is {value}"
    if kind is Kind.COLOUR:
        return f"the {names[0]} is {value}"
    where = f"to the {value} of" if value in ("left", "right") else value
    return f"the {names[0]} is {where} the {names[1]}"
