"""Lines of a shell, as lists of words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

_ENDS = {"&&", "||", "|", ";", "(", ")", "()"}
_GRAMMAR = {"{", "}", "do", "done", "for", "then", "fi", "if"}


@dataclass
class Command:
    """One command: its words, the variables set for it, and the file its output goes to."""

    words: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    into: str | None = None

    def __str__(self) -> str:
        return " ".join(self.words)


def commands(code: str) -> Iterator[Command]:
    """The commands of a block, one after the other, whatever connects them. Variables of the shell read as 1."""
    for line in code.splitlines():
        lexer = shlex.shlex(re.sub(r"\$\{\w+[^}]*\}|\$\w+", "1", line), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        found, into = Command(), False
        for word in lexer:
            if word in _ENDS:
                yield from [found] if found.words else []
                found = Command()
            elif word == ">":
                into = True
            elif into:
                found.into, into = word, False
            elif found.words or not (word in _GRAMMAR or (set_ := re.fullmatch(r"(\w+)=(.*)", word))):
                found.words.append(word)
            elif set_:
                found.variables[set_[1]] = set_[2]
        yield from [found] if found.words else []
