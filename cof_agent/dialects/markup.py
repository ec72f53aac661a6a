"""The tags around thoughts, calls and answers, also where a policy forgets to close or to open them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

from cof_agent.dialects.lenient_json import json_at
from cof_agent.dialects.model_tokens import without_tokens
from cof_agent.dialects.turn import Call, Turn
from cof_agent.images.geometry import Corners

NO_VIEW = -1
"""Stands for the number of a view where one is given and cannot be read."""
_POINTED = re.compile(r'"bbox_2d"\s*:\s*\[([-+\d.,\s]{1,200})\]')
_ASIDE = re.compile(
    r"<think>.*?(?:</think>|\Z)"
    r"|<(tool_call|grounding)>.*?(?:</\1>|\Z)"
    r"|</?(?:think|answer|tool_call|tool_response|grounding)>",
    re.S,
)

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)

MAX_CALLS = 256
"""Calls of one turn. The release carries out 6 in a whole run; a turn of thousands is a model that loops."""

TOO_MANY = f"the turn has more than {MAX_CALLS} calls"
NESTED = "<answer> stands inside of another <answer>"
TWICE = "</answer> comes twice, with text between"
DIFFER = "the turn has several answers that differ: give one"
UNENDED = "<answer> stands in a thought that is not closed, and more follows"
OPEN = "<answer> was opened and not closed"


class Markup:
    """Text whose thoughts stand in `<think>`, calls in a tag of their own, and answers in `<answer>`.

    Reads in time that is linear in the text.
    """

    def __init__(self, call: str) -> None:
        """`call` is the name of the tag around a call."""
        parts = rf"<{call}>|<answer>|<think>"
        self._think = re.compile(rf"<think>(?:((?:(?!<think>).)*?)</think>|(.*?)(?={parts}|\Z))", re.S)
        self._call = re.compile(rf"<{call}>(.*?)(?:</{call}>|(?={parts})|\Z)", re.S)
        self._tag = re.compile(rf"</answer>|{parts}")

    def read(self, text: str, calls_in: Callable[[str], Iterable[Call]]) -> Turn:
        """What `text` says; `calls_in` reads what stands between one pair of call tags."""
        thoughts = [closed or unclosed for closed, unclosed in self._think.findall(text)]
        thought, said = "\n".join(map(str.strip, thoughts)), self._think.sub("", text)
        calls = self._calls(said, calls_in)
        answer, closed, fault = self._answer(_BEGUN.sub("<answer>", self._think.sub("<think>", text)))
        if answer is not None and more_after_thought(text):
            answer, closed, fault = None, None, UNENDED
        if not calls and answer is None:  # some models forget to end the thought before they call
            calls = [call for call in self._calls("\n".join(thoughts), calls_in) if not call.error]
        if len(calls) > MAX_CALLS:
            return Turn(thought, fault=TOO_MANY)
        if calls and fault:  # what broke off was no answer
            fault = None
        return Turn(thought, tuple(calls), answer, tuple(pointed(answer or "")), fault, closed)

    def _calls(self, text: str, calls_in: Callable[[str], Iterable[Call]]) -> list[Call]:
        """The calls in `text`, at most one more than a turn may have."""
        found = (call for tagged in self._call.finditer(text) for call in calls_in(tagged[1]))
        return list(islice(found, MAX_CALLS + 1))

    def _answer(self, said: str) -> tuple[str | None, bool | None, str | None]:
        """The one answer of a turn, whether it is closed, and why there is none. `<think>` stands for each thought."""
        found: list[tuple[str, bool]] = []
        at = 0
        while len(found) <= MAX_CALLS and (tag := self._tag.search(said, at)):
            before, at = at, tag.end()
            if tag[0] == "</answer>" and found and said[before : tag.start()].strip():
                return None, None, TWICE
            if tag[0] != "<answer>":
                continue
            value = json_at(said, at)  # an answer in JSON may have tags in its texts
            if value is not None and (after := _AFTER_JSON.match(said, value[1])):
                found.append((said[at : value[1]].strip(), bool(after[1])))
                at = after.end()
                continue
            end = self._tag.search(said, at)
            answer = said[at : end.start() if end else len(said)].strip()
            if end is None:
                if not answer or _MID_SENTENCE.search(said, max(0, tag.start() - 2), tag.start()):
                    return None, None, OPEN
                found.append((answer, False))
            elif end[0] != "</answer>":
                return None, None, NESTED if end[0] == "<answer>" else OPEN
            elif answer:
                found.append((answer, True))
            at = end.end() if end else len(said)
        if len({_compared(answer) for answer, _ in found}) > 1:
            return None, None, DIFFER
        return (*found[0], None) if found else (None, None, None)


_BEGUN = re.compile(r"<answer>(?:\s*+<think>)+")
"""An answer that begins with a thought."""

_MID_SENTENCE = re.compile(r"[^\s:.!?>)*_`-][ \t]?\Z")
"""What stands before a tag that is a part of a sentence."""

_CLOSED_THOUGHT = re.compile(r"<think>(?:(?!<think>).)*?</think>", re.S)
_IN_THOUGHT = re.compile(r"<think>(?:(?!<think>|<answer>).)*+<answer>", re.S)


def answers_in_thought(text: str) -> bool:
    """Whether an `<answer>` stands in a thought that is never closed."""
    return "<think>" in text and _IN_THOUGHT.search(_CLOSED_THOUGHT.sub("</think>", text)) is not None


def more_after_thought(text: str) -> bool:
    """Whether an answer stands in a thought that is never closed, and more words follow the answer."""
    _, closed, rest = text.rpartition("</answer>")
    return bool(closed and answers_in_thought(text) and without_tokens(_TAG.sub("", rest)))


def _compared(answer: str) -> str:
    return " ".join(without_tokens(answer).casefold().split()).rstrip(".")


_TAG = re.compile(r"</?(?:think|answer)>|```")
_AFTER_JSON = re.compile(r"\s*+(?:(</answer>)|\Z)")


def opened(text: str) -> str:
    """`text` with the `<think>` that some chat templates write before the policy's first word."""
    thought, end, _ = text.partition("</think>")
    return f"<think>{text}" if end and "<think>" not in thought else text


def unthought(text: str) -> str:
    """`text` without its thoughts; one that is never closed goes on to the end."""
    return _THOUGHT.sub("", text)


def plain(text: str) -> str:
    """What is said beside thoughts and calls, without tags and without tokens that are no words."""
    return without_tokens(_ASIDE.sub("", text))


def pointed(answer: str) -> Iterator[Corners]:
    """The boxes that an answer gives as `"bbox_2d": [x1, y1, x2, y2]`."""
    return (corners for corners, _ in _boxes(answer))


def named_beside(answer: str, names: Sequence[str], first: int = 0) -> tuple[int | None, ...]:
    """For each box of `pointed` the view that its JSON object names under one of `names`, or the objects around that.

    `first` is the number of the first view, as the policy counts. None where a box has no such name, `NO_VIEW` where
    what stands under it is no whole number, where two of them differ, or where quotes hide which box has it.
    """
    boxes = [begin for _, begin in _boxes(answer)]
    parts, quoted = _parts_with("|".join(map(re.escape, names)))
    hidden = {match.start() for match in quoted.finditer(answer)}  # until they are come across
    any_name = bool(hidden)
    given: list[set[int]] = [set()]  # what each object names, the text around all of them first
    around, within = [0], dict[int, tuple[int, ...]]()
    at = 0
    while part := parts.search(answer, at):
        at, outside = part.end(), len(around) == 1
        if part["box"]:
            within[part.start()] = tuple(around)
        elif part["name"] or (part["bare"] and not outside):
            hidden.discard(part.start())
            given[around[-1]].add(_number(answer, at, first))
        elif part["open"] and len(around) < _DEEPEST:
            around.append(len(given))
            given.append(set())
        elif part["close"] and not outside:
            around.pop()
        elif part["text"] and outside:
            at = part.start() + 1  # outside of JSON a quote is only a quote
    return tuple(
        _view_of([given[one] for one in within.get(box, ())], bool(hidden) or (any_name and box not in within))
        for box in boxes
    )


@lru_cache(maxsize=16)
def _parts_with(names: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What matters in an answer that points: boxes, names of views, objects, and texts; and names in quotes alone."""
    parts = re.compile(
        rf"""(?P<box>{_POINTED.pattern})|(?P<name>"(?:{names})"\s*:|'(?:{names})'\s*:)"""
        rf"""|(?<![\w"'.-])(?P<bare>(?:{names})\s*:)|(?P<open>\{{)|(?P<close>\}})"""
        r"""|(?P<text>\\.|"(?:[^"\\]|\\.)*+"|(?<=[\s{:,\[])'(?:[^'\\]|\\.)*+'(?=\s*[:,}\]]))""",
        re.S,
    )
    return parts, re.compile(rf'"(?:{names})"\s*:')


_DEEPEST = 64
"""Objects inside of one another that are told apart."""
_WHOLE = re.compile(r"""\s*+(["']?)\s*+(\d{1,9})(?:\.0{1,9})?\s*+\1\s*+(?=[,}\]]|\Z)""")


def _number(answer: str, at: int, first: int) -> int:
    """The view that is named at that place; the number may be a text, as in calls."""
    found = _WHOLE.match(answer, at)
    return max(int(found[2]) - first, NO_VIEW) if found else NO_VIEW


def _view_of(given: Sequence[set[int]], unsure: bool) -> int | None:
    """The view that a box is in, by what the objects around it name, the outermost first."""
    named = next((numbers for numbers in reversed(given) if numbers), None)
    if named is None:
        return NO_VIEW if unsure else None
    return next(iter(named)) if len(named) == 1 else NO_VIEW


def _boxes(answer: str) -> Iterator[tuple[Corners, int]]:
    """The boxes of an answer, and where each begins."""
    for match in _POINTED.finditer(answer):
        try:
            x1, y1, x2, y2 = map(float, match[1].replace(",", " ").split())
        except ValueError:
            continue
        yield (x1, y1, x2, y2), match.start()
