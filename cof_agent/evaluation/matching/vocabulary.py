"""Words that matching knows."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION = _words(
    "it it's its is are was were be this that that's there there's they they're these those to on of in at by with "
    "from for answer correct final my image picture photo shown says reads reading written displayed visible here "
    "has have i see can we you colour looks"
)
"""Words of a sentence that add nothing to its value."""

BANNED = _words(
    "not no nor or neither either and but except than unless without instead rather never none cannot other another "
    "maybe perhaps possibly probably likely if could might may would should wrong incorrect false actually however "
    "both unclear unsure"
)
"""Words that may turn a sentence into something else, also where the question has them."""

RETRACTING = _words(
    "not no nor or neither either never none wrong incorrect actually wait however but maybe perhaps possibly unsure "
    "unless instead rather whether if"
)
"""Words that may take back a choice that stands beside them."""

HEDGES = _words(
    "about around approximately roughly nearly almost least most more less fewer over under above below up only half "
    "twice minus plus"
)
"""Words that change what a number means."""

DIRECTIONS = _words("left right above below over under top bottom up down upper lower beneath underneath front behind")
BESIDE_DIRECTIONS = _words("to on at in of the side hand")
VERBS = _words("is are was were be lies lie sits sit stands stand has have")

_COLOURS = _words(
    "red orange yellow green cyan blue purple pink black white grey gray brown violet magenta gold golden silver beige "
    "tan teal navy maroon turquoise"
)

_PLAIN_COLOURS = _words("red orange yellow green blue purple pink black white grey brown")
_CLEAR = "acdefhjkmnprtuvwxy3479"

EXCLUSIVE = (
    (_words("left"), _words("right")),
    (_words("above over top up upper"), _words("below under bottom down lower beneath underneath")),
    (_words("yes"), _words("no")),
    (_words("true"), _words("false")),
    tuple(frozenset({colour}) for colour in sorted(_PLAIN_COLOURS)),
    tuple(map(frozenset, _CLEAR)),
)
"""Kinds of values, as sets of words that mean the same: who says one of a kind denies the others.

Of colours only those that nobody calls by another's name, of characters only those that look like no other.
"""

RIVALS = (DIRECTIONS, _COLOURS, _words("yes no"), _words("true false"))
"""Values of which a sentence that says one must not hold another."""
