"""A possible answer, and what it is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cof_agent.policies.reader.page.colour import ground_share
from cof_agent.policies.reader.page.layout import relation
from cof_agent.policies.reader.page.text import Text
from cof_agent.policies.reader.question.ask import TextAsk
from cof_agent.policies.reader.words import coverage, squeeze

if TYPE_CHECKING:
    from PIL.Image import Image

FIT = 0.6
"""Least fit of an answer: how surely a text that was read is what the question asks for."""
MARGIN = 0.07
"""By so much the best fit must exceed that of the best different answer; closer ones are told apart by nothing."""
COLOURED = 0.3
"""Part of a text's surroundings that must have the named colour."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A possible answer with the lines it stands on."""

    answer: str
    fit: float
    """How surely it is what the question asks for, 0.0 to 1.0, given that its lines are read rightly."""
    texts: tuple[Text, ...]
    key: str = ""
    """Equal for findings that say the same."""

    @property
    def sure(self) -> bool:
        """Whether its lines can be taken as read; of several, most of the letters."""
        return self._hold([text.sure for text in self.texts]) and all(t.sure or t.fair for t in self.texts)

    @property
    def fair(self) -> bool:
        """Whether it may be given when no closer look is possible."""
        return self._hold([text.fair for text in self.texts])

    def _hold(self, held: Sequence[bool]) -> bool:
        letters = sum(len(text.text) for text in self.texts)
        good = sum(len(text.text) for text, holds in zip(self.texts, held, strict=True) if holds)
        return bool(self.texts) and good >= 0.75 * letters


@dataclass(frozen=True)
class ReadPage:
    """A question and all that was read, with what matching needs to know about both."""

    ask: TextAsk
    texts: Sequence[Text]
    picture: Image
    """The overview."""

    @cached_property
    def tallest(self) -> float:
        """Height of the tallest line that is read with some confidence, in overview pixels."""
        return max((text.height for text in self.texts if text.confidence >= 0.6), default=1.0)

    def placed(self, texts: Iterable[Text]) -> bool:
        """Whether `texts` lie on the colour and on the side that the question names; True when it names none."""
        texts = list(texts)
        if self.ask.side and not all(self._on_side(text) for text in texts):
            return False
        if not self.ask.colour:
            return True
        shares = [ground_share(self.picture, text.box, self.ask.colour) for text in texts]
        return bool(shares) and sum(shares) / len(shares) >= COLOURED

    def _on_side(self, text: Text) -> bool:
        x = (text.box[0] + text.box[2]) / 2 / self.picture.width
        y = (text.box[1] + text.box[3]) / 2 / self.picture.height
        return {
            "left": x < 0.5, "right": x > 0.5, "top": y < 0.5, "bottom": y > 0.5,
            "middle": abs(x - 0.5) < 0.25 or abs(y - 0.5) < 0.25,
        }[self.ask.side]  # fmt: skip

    def hinted(self, texts: Sequence[Text]) -> float:
        """How much of the question's hints stands in or near `texts`, 0.0 to 1.0."""
        if not self.ask.hints or not texts:
            return 0.0
        near = [other.text for other in self.texts if any(other is t or relation(t, other).gap < 2.5 for t in texts)]
        return coverage(self.ask.hints, " ".join(near))

    def readable(self, confidence: float = 0.5) -> list[Text]:
        return [text for text in self.texts if text.confidence >= confidence and squeeze(text.text)]


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Best fit first; of findings that say the same only the best read one of nearly the best fit."""
    best: dict[str, Finding] = {}
    for finding in findings:
        key = finding.key or squeeze(finding.answer)
        other = best.get(key)
        if other is None or _order(finding) > _order(other):
            best[key] = finding
    return sorted(best.values(), key=lambda finding: (-finding.fit, finding.texts[0].box[1] if finding.texts else 0.0))


def _order(finding: Finding) -> tuple[float, bool, float]:
    return round(finding.fit, 1), finding.sure, sum(text.weight for text in finding.texts) / max(len(finding.texts), 1)


def ambiguous(findings: Sequence[Finding]) -> bool:
    """Whether the best two of `findings` differ and nothing tells them apart."""
    return len(findings) > 1 and findings[0].fit - findings[1].fit < MARGIN and findings[1].fit >= FIT - 0.1
