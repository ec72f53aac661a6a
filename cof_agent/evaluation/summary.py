"""What a run showed: figures per setting, as a value that is JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict, Field

from cof_agent.agent.record import Record
from cof_agent.evaluation.row import Cell, Rule
from cof_agent.evaluation.statistics import Difference, Share
from cof_agent.evaluation.tampering import Tampering
from cof_agent.loop.state import Status, StopReason

SCHEMA = 1


class Need(StrEnum):
    """What the ideal observer of a scene needs to tell the answer."""

    NO_ZOOM = "no_zoom"
    """The first look is enough."""
    ZOOM = "zoom"
    """One zoom or more."""
    OUT_OF_REACH = "out_of_reach"
    """No zoom shows it: the picture lacks the pixels."""


class NeedFigures(Record):
    """The questions about scenes that need the same."""

    need: Need
    accuracy: Share
    chance: float | None
    zooms: float | None
    """Mean, of the questions that did not fail."""
    ideal_zooms: float | None
    """Mean zooms of the ideal observer; None out of reach."""


class SceneFigures(Record):
    """What scenes alone allow to say, for their truth is known at every size."""

    reachable: Share
    """Questions whose answer their ideal observer can see."""
    ideal_zooms: float | None
    """Mean zooms of the ideal observer over the reachable ones."""
    needs: tuple[NeedFigures, ...]


class Faithfulness(Record):
    """Questions asked about a picture and about a changed one: does the answer rest on what is to be seen?

    Only questions that were answered right on the plain picture count. Of those that were guessed, some follow by luck.
    """

    asked: int
    """Questions asked on both."""
    followed: Share
    """Of those right on the plain picture: the answer on the changed one is right, too."""
    kept: Share
    """Of the same: the answer is still the one that was right before the change."""
    needs: dict[Need, Share] = Field(default_factory=dict)
    """Those that followed, by what the plain picture's question needs."""


class Fall(Record):
    """The same questions with regions as they are and with tampered ones. Failed ones count as wrong."""

    n: int
    """Questions asked with both, under each setting."""
    chance: float | None
    plain: float | None
    """Accuracy with regions as they are, 0.0 to 1.0; None when `n` is 0, as the next two."""
    tampered: float | None
    """Accuracy with tampered ones."""
    fall: Difference | None
    """`plain` less `tampered`, with a 95% bootstrap interval by question; below 0, accuracy rose."""


class TamperedRegions(Record):
    """How far accuracy falls when regions show something else: does the policy use what it zooms on?"""

    region: Tampering
    all: Fall
    """Over all questions; in an average each setting weighs the same."""
    zoomed: Fall
    """Over those that were shown a region when they were asked as they are: there the pixels matter."""
    needs: dict[Need, Fall] = Field(default_factory=dict)
    """Of scenes: by what the question needs."""


class Costs(Record):
    """Means over the questions that did not fail (answered, declined or out of budget)."""

    n: int
    zooms: float | None = None
    visual_tokens: float | None = None
    prompt_tokens: float | None = None
    """None when the policy never reports any, as are the next."""
    completion_tokens: float | None = None
    """Text that the policy wrote, in tokens."""
    policy_calls: float | None = None
    refused: float | None = None
    """Refused calls and unreadable turns, per question."""
    refused_share: float | None = None
    """Refused ones among all calls, 0.0 to 1.0; None when there was no call."""
    seconds: float | None = None
    median_seconds: float | None = None


class CellFigures(Record):
    """One setting of the run. Failed questions are among `n`, as wrong answers."""

    cell: Cell
    n: int
    accuracy: Share
    chance: float | None
    """Mean over the questions where it is known."""
    categories: dict[str, Share]
    direct: Share
    """Of the questions that got an answer, or were declined rightly: those without a zoom."""
    costs: Costs
    statuses: dict[Status, int]
    timed_out: int = 0
    """Of those out of budget: their time ran out before they answered. They count as wrong."""
    rightly_declined: int = 0
    """Of the declined ones: those that cannot be answered."""
    rules: dict[Rule, int]
    contains_truth: Share
    """Of the answers with evidence, about pictures where the truth's place is known: one such place is held whole."""
    iou: float | None
    """Mean, over the same answers, of the best intersection over union of an evidence box and a truth box."""
    scenes: SceneFigures | None = None
    faithfulness: Faithfulness | None = None
    regions: tuple[TamperedRegions, ...] = ()
    """Of a plain setting: against each kind of tampered regions."""


class Average(Record):
    """Cells that differ in one axis only. Nothing is ever averaged over both axes."""

    over: Literal["resolution", "budget"]
    values: tuple[int, ...]
    """The resolutions or budgets averaged; pictures as they are and the policy's own budget are left out."""
    held: int | None
    """The budget (or the resolution) of all of them."""
    counterfactual: bool
    region: Tampering | None = None
    accuracy: float
    """Mean of the cells' accuracies: each cell weighs the same, as in all figures here but the last three."""
    low: float
    high: float
    """95% Wilson interval with as many trials as the smallest cell has: all answers to one question count as one."""
    chance: float | None
    direct: float | None
    costs: Costs
    """`n` is the sum; the medians are averaged, too."""
    needs: tuple[NeedFigures, ...] = ()
    """Over all rows of the cells, each row weighing the same."""
    faithfulness: Faithfulness | None = None
    """The same."""
    regions: tuple[TamperedRegions, ...] = ()
    """The same, but for `all`."""

    @property
    def plain(self) -> bool:
        """Whether its cells are."""
        return not self.counterfactual and self.region is None


class Failure(Record):
    """Questions that failed alike."""

    reason: StopReason
    message: str
    count: int


class Summary(Record):
    """All that a report shows."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    settings: dict[str, Any]
    """As in `run.json`."""
    questions: int
    """Different questions."""
    rows: int
    """Questions times settings, as all figures without those whose image could not be opened."""
    cells: tuple[CellFigures, ...]
    averages: tuple[Average, ...]
    skipped: dict[str, int]
    """Questions not asked at a resolution because their picture is smaller; `native` never is."""
    malformed: int
    """Rows of the benchmark that could not be asked."""
    unopened: int
    """Questions times settings whose image could not be opened."""
    unopened_why: tuple[Failure, ...]
    """Of these, as `failures`; but none of them counts as wrong."""
    timed_out: int = 0
    """Questions times settings whose time ran out before they answered. They count as wrong."""
    failed: int
    failures: tuple[Failure, ...]
    """The most frequent first, at most 20 kinds. They count as wrong."""

    @property
    def plain(self) -> tuple[CellFigures, ...]:
        """The cells whose pictures and regions were not changed."""
        return tuple(figures for figures in self.cells if figures.cell.plain)


def excerpt(text: str, most: int) -> str:
    """`text`, or as much of it as `most` characters hold, the last of which then says that there is more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
