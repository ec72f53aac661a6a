"""What a question asks for, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cof_agent.policies.reader.question.options import Option
from cof_agent.policies.reader.values import ValueKind
from cof_agent.policies.reader.words import content


class Form(StrEnum):
    """How the answer is to be found."""

    VALUE = "value"
    """A typed value, perhaps beside a label."""
    LABEL = "label"
    """Whatever stands beside a label."""
    NEXT = "next"
    """The text at a given side of a named text."""
    SAY = "say"
    """The most prominent text."""
    ABOUT = "about"
    """The phrase that holds given words."""
    NAME = "name"
    """What something is called: a text that says so, or stands out."""
    YES_NO = "yes or no"
    """Whether a given text can be read."""
    PICTURE = "picture"
    """Something that text does not tell."""


@dataclass(frozen=True, slots=True)
class TextAsk:
    """A question, taken apart."""

    text: str
    """As asked, without options."""
    form: Form
    kind: ValueKind | None = None
    labels: tuple[str, ...] = ()
    """Words that must name the value: "expiry" in "the expiry date"."""
    items: tuple[str, ...] = ()
    """Words of what it is the value of: "coffee" in "the price of the coffee"."""
    hints: tuple[str, ...] = ()
    """Words that may stand nearby: where it is printed, what it is about."""
    bearer: tuple[str, ...] = ()
    """Words of a thing, other than a sign or the like, whose text is asked for: "collar". Reading cannot find it."""
    phrase: str = ""
    """The text that a NEXT or YES_NO question names."""
    relation: str = ""
    """The side of `phrase` that NEXT asks for: next, left, right, above or below."""
    colour: str = ""
    """The colour of what it is printed on."""
    side: str = ""
    """Where in the picture it is: left, right, top, bottom or middle."""
    size: str = ""
    """"large", "small" or nothing."""
    count: bool = False
    """Whether it asks how many."""
    options: tuple[Option, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All its content words, the binding ones first."""
        return tuple(dict.fromkeys((*self.labels, *self.items, *content(self.phrase), *self.hints)))

    @property
    def searches(self) -> bool:
        """Whether it is about text for certain, so that unread regions are worth a look."""
        return self.form not in (Form.PICTURE, Form.LABEL) and not self.count


@dataclass(frozen=True, slots=True)
class CharacterAsk:
    """A question for the single character on something of a named colour."""

    text: str
    """As asked, without options."""
    colour: str
    shape: str = ""
    """The shape of the thing, if the question names one."""
    side: str = ""
    """Where in the picture it is: left, right, top, bottom or middle."""
    sort: str = ""
    """"digit", "letter" or, where it may be either, nothing."""
    loose: bool = False
    """Whether more than one character would answer it as well."""
    options: tuple[Option, ...] = ()
