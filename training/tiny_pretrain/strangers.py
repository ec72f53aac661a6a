"""Questions without an answer about things that are not of the world of scenes, beside those that `scenes` knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from types import MappingProxyType

from cof_agent.scenes.foreign import MOST_OPTIONS
from cof_agent.scenes.palette import pick, shuffled
from cof_agent.scenes.question import SceneQuestion
from cof_agent.scenes.scene import CHARACTERS, COLOURS
from cof_agent.scenes.wording import SIDES, Name, ask_character, ask_colour, ask_relation, with_options

THINGS = (
    "door", "car", "dog", "cat", "tree", "house", "roof", "cup", "table", "sign", "man", "woman", "child", "shirt",
    "hat", "bird", "boat", "flower", "bag", "wall", "window", "lamp", "chair", "street", "bottle", "book", "bus",
    "key", "ship", "train", "horse", "cow", "knife", "plate", "box", "ticket", "flag", "shoe", "glove", "clock",
    "mirror", "sofa", "bed", "carpet", "fence", "garden", "truck", "bicycle", "wheel", "engine", "king", "queen",
    "nurse", "farmer", "soldier", "baker", "fish", "sheep", "spider", "camera", "radio", "computer", "pen",
    "newspaper", "poster", "jacket", "umbrella", "basket", "egg", "pear", "cheese", "salad", "kettle", "oven",
    "bucket", "ladder", "hammer", "rope", "tent", "kite", "doll", "bridge", "hotel", "museum", "market", "beach",
    "island", "forest", "cloud", "moon",
)  # fmt: skip

FORMS: Mapping[str, str] = MappingProxyType(
    {
        "Which logo is on the {it}?": "a lion, a crown, a leaf, a key, an anchor",
        "Which name is on the {it}?": "Anna, Peter, Maria, John, Olga",
        "Which animal is on the {it}?": "a lion, an eagle, a bear, a fish",
        "Which number is on the {it}?": "12, 37, 58, 94",
        "Which word is written on the {it}?": "free, north, love, open",
        "Which kind of {it} is this?": "a common one, a rare one, an old one, a foreign one",
        "Which {it} is the oldest?": "the first, the second, the third, the last",
        "Which person is next to the {it}?": "a doctor, a teacher, a sailor, a judge",
        "What is the name of the {it}?": "Aurora, Bella, Castor, Delta",
        "What is the price of the {it}?": "2 euros, 5 euros, 9 euros, 40 euros",
        "What is the {it} made of?": "wood, metal, glass, paper, stone",
        "What is in front of the {it}?": "a stone, a broom, a puddle, a bench",
        "What date is on the {it}?": "3 May, 9 June, 1 April, 30 July",
        "What is wrong with the {it}?": "a crack, a stain, a hole, nothing",
        "Who made the {it}?": "a carpenter, a smith, a tailor, a factory",
        "Who is behind the {it}?": "a boy, a girl, a thief, nobody",
        "Whose {it} is this?": "mine, yours, his, hers",
        "Where is the {it} from?": "France, Japan, Brazil, Canada, Kenya",
        "When was the {it} sold?": "today, last week, in spring, never",
        "Is the {it} broken?": "yes, no",
        "Is the {it} new or old?": "new, old",
        "Is the {it} real?": "yes, no",
        "Are there people near the {it}?": "yes, no",
        "Does the {it} look expensive?": "yes, no",
        "How old is the {it}?": "a year, ten years, a century",
        "How long is the {it}?": "a foot, a yard, a mile",
        "How heavy is the {it}?": "a gram, a pound, a ton",
        "How many people look at the {it}?": "one, two, three, four, five",
    }
)
"""Wordings about a thing, each with what may be offered as options. None is of the test split of `scenes`."""


def ask_stranger(question: SceneQuestion, chance: Random) -> SceneQuestion:
    """A question without an answer in the place of `question`: half of the time in the words of those that have one."""
    it, other = shuffled(THINGS, chance)[:2]
    if chance.random() < 0.5:
        text, options = _in_words_of_scenes(it, other, chance)
    else:
        form = pick(chance, tuple(FORMS))
        text, options = form.format(it=it), tuple(shuffled(FORMS[form].split(", "), chance))
    options = options[:MOST_OPTIONS] if chance.random() < 0.5 else ()
    return replace(question, text=with_options(text, options, chance) if options else text, options=options)


def _in_words_of_scenes(it: str, other: str, chance: Random) -> tuple[str, tuple[str, ...]]:
    one, two = (
        Name(shape=noun, colour=pick(chance, COLOURS) if chance.random() < 0.5 else None) for noun in (it, other)
    )
    kind = pick(chance, ("character", "colour", "relation"))
    if kind == "relation":
        axis = pick(chance, tuple(SIDES))
        return ask_relation(one, two, axis, chance), tuple(shuffled(SIDES[axis], chance))
    if kind == "colour":
        return ask_colour(replace(one, colour=None), chance), tuple(shuffled(COLOURS, chance))
    return ask_character(one, chance), tuple(shuffled(CHARACTERS, chance))
