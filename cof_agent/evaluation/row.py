"""One row of a run: what one question gave under one setting."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from cof_agent.agent.record import Record
from cof_agent.evaluation.tampering import Tampering
from cof_agent.loop.state import Status, StopReason, UsageRecord


def _is_empty(values: tuple[object, ...]) -> bool:
    """Whether a field says nothing: those about several images are left out of the rows of one."""
    return not values


class Rule(StrEnum):
    """Which rule decided whether an answer is right. They are tried in this order."""

    DECLINED = "declined"
    """Whether it declined: that alone is right where a question cannot be answered."""
    LETTER = "letter"
    """The letter of an option."""
    TEXT = "text"
    """The same text, apart from case, articles, punctuation and spaces."""
    NUMBER = "number"
    """The same number in the same unit, or another number."""
    JUDGE = "judge"
    """A judge model."""
    UNMATCHED = "unmatched"
    """No rule found the answer to be right, and no judge was asked."""
    UNANSWERED = "unanswered"
    """There was no answer."""


class Verdict(Record):
    """Whether an answer is right, and how that was decided."""

    correct: bool
    rule: Rule


class Cell(Record):
    """One setting of a run. Rows of different settings are never averaged together."""

    resolution: int | None = None
    """Long side in pixels that the source was reduced to; None: the source as it is."""
    budget: int | None = None
    """Side of the square whose area, in pixels, the overview may have; None: the policy's own."""
    counterfactual: bool = False
    """Whether the image was changed so that another answer is right."""
    region: Tampering | None = None
    """What its regions showed instead of the place that was asked for; None: that place."""

    @property
    def plain(self) -> bool:
        """Whether the question was asked as it is: its image unchanged, and its regions, too."""
        return not self.counterfactual and self.region is None


class ResultRow(Record):
    """What is kept of one question under one setting: a line of `results.jsonl`."""

    schema_version: int = Field(default=1, alias="schema")
    key: str
    """Unique within a run: question and cell."""
    number: int = Field(default=0, ge=0)
    """Position of the question in its benchmark, from 0: results are read in this order."""
    question: str
    """The question's id."""
    category: str
    cell: Cell
    text: str
    truth: str
    options: tuple[str, ...] = ()
    chance: float | None = None
    source: tuple[int, int] | None = None
    """Width and height, in pixels, of the image that was asked about; None when it could not be opened."""
    sources: tuple[tuple[int, int], ...] = Field(default=(), exclude_if=_is_empty)
    """Of a question about several images, the sizes of all: `source` is that of the first."""
    answer: str | None
    status: Status
    stop_reason: StopReason
    message: str | None
    correct: bool
    rule: Rule
    evidence: tuple[tuple[int, int, int, int], ...] = ()
    """Boxes of the evidence, in pixels of `source`."""
    evidence_images: tuple[int, ...] = Field(default=(), exclude_if=_is_empty)
    """Of several images, the one that each of these boxes is in, counted from 0; its pixels are those of `sources`."""
    contains_truth: bool | None = None
    """Whether the evidence holds a known truth box whole; None where no truth box is known or no evidence is given."""
    iou: float | None = None
    """Best intersection over union of an evidence box and a truth box, 0.0 to 1.0; None as above."""
    zooms: tuple[tuple[int, int, int, int], ...] = ()
    """The regions that were shown, in pixels of `source`, in order."""
    zoom_images: tuple[int, ...] = Field(default=(), exclude_if=_is_empty)
    """Of several images, the one that each region was cut from."""
    ideal_zooms: int | None = None
    """Of a scene: the zooms that its ideal observer needs."""
    reachable: bool | None = None
    """Of a scene: whether its ideal observer can tell at all."""
    usage: UsageRecord | None
    """None when the image could not be opened."""
    trajectory: str | None = None
    """The `id` of its line in `trajectories.jsonl`, where that was saved."""

    @property
    def timed_out(self) -> bool:
        """Whether its time ran out before there was an answer: on another day it might have been right."""
        return self.status is Status.BUDGET and self.stop_reason is StopReason.TIME_LIMIT

    @property
    def lasting(self) -> dict[str, Any]:
        """Everything but times: what a repeated run gives again."""
        value = self.model_dump(mode="json", exclude={"trajectory"})
        if value["usage"]:
            value["usage"].pop("seconds")
        return value
