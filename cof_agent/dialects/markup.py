"""The tags around thoughts, calls and answers, also where a policy forgets to close or to open them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from cof_agent.dialects.lenient_json import json_prefix
from cof_agent.dialects.turn import Call, Turn
from cof_agent.images.geometry import Corners

_POINTED = re.compile(r'"bbox_2d"\s*:\s*\[([-+\d.,\s]{1,200})\]')
_ASIDE = re.compile(
    r"<think>.*?(?:</think>|\Z)"
    r"|<(tool_call|grounding)>.*?(?:</\1>|\Z)"
    r"|</?(?:think|answer|tool_call|tool_response|grounding)>"
    r"|<\|\w{1,40}\|>",
    re.S,
)


class Markup:
    """Text whose thoughts stand in `<think>`, calls in a tag of their own, and answers in `<answer>`."""

    def __init__(self, call: str) -> None:
        """`call` is the name of the tag around a call."""
        parts = rf"<{call}>|<answer>|<think>"
        self._think = re.compile(rf"<think>(?:((?:(?!<think>).)*?)</think>|(.*?)(?={parts}|\Z))", re.S)
        self._call = re.compile(rf"<{call}>(.*?)(?:</{call}>|(?={parts})|\Z)", re.S)
        self._answer = re.compile(rf"<answer>(.*?)(?:</answer>|(?={parts})|\Z)", re.S)

    def read(self, text: str, calls_in: Callable[[str], Iterable[Call]]) -> Turn:
        """What `text` says; `calls_in` reads what stands between one pair of call tags."""
        thoughts = [closed or unclosed for closed, unclosed in self._think.findall(text)]
        said = self._think.sub("", text)
        calls = tuple(call for inside in self._call.findall(said) for call in calls_in(inside))
        answers = (json_prefix(said[match.start(1) :]) or match[1].strip() for match in self._answer.finditer(said))
        answer = next(filter(None, answers), None)
        if not calls and answer is None:  # some models forget to end the thought before they call
            found = (call for inside in self._call.findall("\n".join(thoughts)) for call in calls_in(inside))
            calls = tuple(call for call in found if not call.error)
        return Turn("\n".join(map(str.strip, thoughts)), calls, answer, tuple(pointed(answer or "")))


def opened(text: str) -> str:
    """`text` with the `<think>` that some chat templates write before the policy's first word."""
    thought, end, _ = text.partition("</think>")
    return f"<think>{text}" if end and "<think>" not in thought else text


def plain(text: str) -> str:
    """What is said beside thoughts and calls, without tags."""
    return _ASIDE.sub("", text).strip()


def pointed(answer: str) -> Iterator[Corners]:
    """The boxes that an answer gives as `"bbox_2d": [x1, y1, x2, y2]`."""
    for match in _POINTED.findall(answer):
        try:
            x1, y1, x2, y2 = map(float, match.replace(",", " ").split())
        except ValueError:
            continue
        yield x1, y1, x2, y2
