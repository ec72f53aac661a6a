"""Options of a multiple-choice question."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"(?:(?<=\s)|^)\(?([A-H])(?:\)|[.:](?=\s))\s*")
_INSTRUCTION = re.compile(r"\n\s*(?:answer|please|choose|select|pick|respond)\b.*$", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its letter, its text, and how the question wrote both."""

    letter: str
    text: str
    mark: str
    """The letter with its punctuation: "(A)" or "A."."""

    def __str__(self) -> str:
        return f"{self.mark} {self.text}"


def split_options(question: str) -> tuple[str, tuple[Option, ...]]:
    """The question without its options, and the options: at least two, lettered A, B, C, … in order."""
    marks = list(_MARK.finditer(question))
    start = next((i for i, mark in enumerate(marks) if mark.group(1) == "A"), None)
    if start is None:
        return question.strip(), ()
    run = [marks[start]]
    for mark in marks[start + 1 :]:
        if ord(mark.group(1)) == ord(run[-1].group(1)) + 1:
            run.append(mark)
    if len(run) < 2:
        return question.strip(), ()
    ends = [mark.start() for mark in run[1:]] + [len(question)]
    options = []
    for mark, end in zip(run, ends, strict=True):
        text = _INSTRUCTION.sub("", question[mark.end() : end]).strip().rstrip(",;").strip()
        options.append(
            Option(mark.group(1), text.removesuffix(".") if text.count(".") == 1 else text, mark.group().strip())
        )
    return question[: run[0].start()].strip(), tuple(options)
