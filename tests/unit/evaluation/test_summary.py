"""The figures of a run, against figures worked out by hand."""

from __future__ import annotations

import random

import pytest

from cof_agent.evaluation.report.run_tables import headline, sheets
from cof_agent.evaluation.row import Cell, ResultRow, Rule
from cof_agent.evaluation.summary import Need, Summary
from cof_agent.evaluation.tally import alike, summarise
from cof_agent.loop.state import Status, StopReason
from tests.support.evaluation.rows import failed_row, lifelike_rows, row, usage


def test_one_setting_by_hand() -> None:
    rows = [
        row("a", True, category="x", chance=0.25, contains_truth=True, iou=0.5, usage=usage(0, seconds=1)),
        row("b", True, category="x", chance=0.75, contains_truth=False, iou=0.1, usage=usage(2, refused=1, seconds=2)),
        row("c", False, category="y", chance=None, usage=usage(1, refused=1, seconds=9)),
        row("d", False, answer=None, status=Status.DECLINED, stop_reason=StopReason.DECLINED, rule=Rule.UNANSWERED),
        failed_row("e", usage=usage(5, seconds=300, visual_tokens=9999)),
        failed_row("f", "no such file", stop_reason=StopReason.IMAGE_ERROR, usage=None, source=None),
    ]
    summary = summarise({}, rows, malformed=3, skipped={"448": 2})
    (figures,) = summary.cells
    assert (figures.n, figures.accuracy.count, figures.accuracy.value) == (5, 2, pytest.approx(2 / 5))
    assert figures.chance == pytest.approx((0.25 + 0.75 + 2 * 0.5) / 4)
    assert {name: (share.count, share.n) for name, share in figures.categories.items()} == {
        "all": (0, 2),
        "x": (2, 2),
        "y": (0, 1),
    }
    assert (figures.direct.count, figures.direct.n) == (1, 3)
    assert figures.costs.n == 4  # the failed ones cost nothing that says anything
    assert figures.costs.zooms == pytest.approx(3 / 4)
    assert figures.costs.visual_tokens == pytest.approx(64 * (1 + 3 + 2 + 1) / 4)
    assert figures.costs.completion_tokens == 20
    assert figures.costs.refused == pytest.approx(2 / 4)
    assert figures.costs.refused_share == pytest.approx(2 / (2 + 3))
    assert (figures.costs.seconds, figures.costs.median_seconds) == (pytest.approx(13 / 4), pytest.approx(1.5))
    assert figures.statuses == {Status.ANSWERED: 3, Status.DECLINED: 1, Status.FAILED: 1}
    assert figures.rules == {Rule.LETTER: 2, Rule.UNMATCHED: 1, Rule.UNANSWERED: 2}
    assert (figures.contains_truth.count, figures.contains_truth.n, figures.iou) == (1, 2, pytest.approx(0.3))
    assert figures.scenes is None
    assert figures.faithfulness is None
    assert (summary.questions, summary.rows, summary.failed, summary.malformed) == (5, 5, 1, 3)
    assert [(found.reason, found.message, found.count) for found in summary.failures] == [
        (StopReason.POLICY_ERROR, "the server is gone", 1)
    ]
    assert summary.unopened == 1  # in no figure: nobody answered
    assert [(found.reason, found.message, found.count) for found in summary.unopened_why] == [
        (StopReason.IMAGE_ERROR, "no such file", 1)
    ]


def test_scenes_are_split_by_what_they_need() -> None:
    rows = [
        row("a", True, ideal_zooms=0, reachable=True, chance=0.25),
        row("b", True, zooms=1, ideal_zooms=1, reachable=True, chance=0.5),
        row("c", False, zooms=3, ideal_zooms=2, reachable=True, chance=0.5),
        row("d", False, zooms=1, ideal_zooms=None, reachable=False, chance=0.1),
    ]
    scenes = summarise({}, rows).cells[0].scenes
    assert scenes is not None
    assert (scenes.reachable.count, scenes.reachable.n, scenes.ideal_zooms) == (3, 4, 1)
    assert [part.ideal_zooms for part in scenes.needs] == [0, 1.5, None]
    found = {part.need: (part.accuracy.count, part.accuracy.n, part.chance, part.zooms) for part in scenes.needs}
    assert found == {Need.NO_ZOOM: (1, 1, 0.25, 0), Need.ZOOM: (1, 2, 0.5, 2), Need.OUT_OF_REACH: (0, 1, 0.1, 1)}


def test_changed_pictures_by_hand() -> None:
    needs = {"ideal_zooms": 1, "reachable": True}
    plain = [row("a", True, **needs), row("b", True), row("c", True, answer="a"), row("d", False), row("e", True)]
    changed = [
        row("a", True, truth="B", answer="B", counterfactual=True),  # followed
        row("b", False, truth="B", answer="(A)", counterfactual=True),  # kept
        row("c", False, truth="B", answer="C", counterfactual=True),  # neither
        row("d", True, truth="B", answer="B", counterfactual=True),  # was wrong before: says nothing
    ]
    plain_figures, changed_figures = summarise({}, [*changed, *plain]).cells
    found = plain_figures.faithfulness
    assert found is not None
    assert changed_figures.faithfulness is None
    assert (found.asked, found.followed.count, found.followed.n, found.kept.count, found.kept.n) == (4, 1, 3, 1, 3)
    assert {need: (share.count, share.n) for need, share in found.needs.items()} == {Need.ZOOM: (1, 1)}


def test_an_average_is_over_one_axis_and_each_cell_weighs_the_same() -> None:
    rows = [row(f"q{number}", number < 9, resolution=224, budget=112) for number in range(10)]
    rows += [row("q0", False, zooms=1, resolution=448, budget=112)]
    rows += [row("q0", True, resolution=None, budget=112)]  # as it is: no point on the axis
    rows += [row("q0", True, resolution=448, budget=224), row("q0", False, resolution=448, budget=None)]
    found = {(average.over, average.held): average for average in summarise({}, rows).averages}
    assert set(found) == {("resolution", 112), ("budget", 448)}
    over_resolutions, over_budgets = found["resolution", 112], found["budget", 448]
    assert over_resolutions.values == (224, 448)
    assert over_resolutions.accuracy == pytest.approx((0.9 + 0.0) / 2)
    assert over_resolutions.costs.zooms == pytest.approx(0.5)
    assert over_resolutions.low < 0.1
    assert over_resolutions.high > 0.9  # as little is known as in its cell of one question
    assert (over_budgets.values, over_budgets.accuracy) == ((112, 224), 0.5)


def test_nothing_is_averaged_over_both_axes_or_over_plain_and_changed() -> None:
    kinds = (Cell(), Cell(counterfactual=True), Cell(region="blank"), Cell(region="overview"))
    cells = [
        kind.model_copy(update={"resolution": resolution, "budget": budget})
        for resolution in (224, 448, None)
        for budget in (112, 224, None)
        for kind in kinds
    ]
    for over, members in alike(cells):
        held = "budget" if over == "resolution" else "resolution"
        assert len({getattr(cell, held) for cell in members}) == 1
        assert len({(cell.counterfactual, cell.region) for cell in members}) == 1
        assert all(getattr(cell, over) for cell in members)
    assert len(alike(cells)) == len(kinds) * (3 + 3)


def test_an_averages_interval_covers_when_answers_of_a_question_are_alike() -> None:
    draw, held = random.Random("alike"), 0
    for _ in range(200):
        rows = []
        for number in range(40):
            luck = draw.random()
            rows += [row(f"q{number}", luck < share, resolution=size) for size, share in ((224, 0.4), (448, 0.8))]
        (average,) = summarise({}, rows).averages
        held += average.low <= 0.6 <= average.high
    assert held >= 184


def test_the_summary_is_json_and_does_not_depend_on_the_order() -> None:
    rows = lifelike_rows(budgets=(112, 224), n=6, regions=("overview", "blank"))
    summary = summarise({"benchmark": "scenes"}, rows)
    shuffled = rows[:]
    random.Random(0).shuffle(shuffled)
    assert summarise({"benchmark": "scenes"}, shuffled) == summary
    text = summary.model_dump_json()
    assert Summary.model_validate_json(text) == summary
    assert '"schema":1' in text


def test_tokens_that_a_policy_does_not_report_are_unknown() -> None:
    silent = summarise({}, [row("a", True, usage=usage(prompt_tokens=0, completion_tokens=0))])
    assert (silent.cells[0].costs.prompt_tokens, silent.cells[0].costs.completion_tokens) == (None, None)


def test_a_run_without_rows_or_with_failures_only_has_figures_all_the_same() -> None:
    empty = summarise({}, [])
    assert (empty.cells, empty.averages, headline(empty)) == ((), (), "Nothing was asked.")
    assert sheets(empty) == []
    ruined = summarise({}, [failed_row("a", usage=None), failed_row("b", usage=None)])
    assert ruined.cells[0].accuracy.value == 0
    assert ruined.cells[0].costs.zooms is None
    assert ruined.failures[0].count == 2


def test_every_table_is_rectangular() -> None:
    rows: list[ResultRow] = lifelike_rows(budgets=(112, None), n=4, regions=("blank",))
    rows += [failed_row("x"), row("y", True, resolution=99)]
    found = sheets(summarise({}, rows))
    assert len(found) >= 9
    for sheet in found:
        assert sheet.columns
        assert {len(cells) for cells in sheet.rows} == {len(sheet.columns)}


def test_the_headline_never_speaks_for_settings_it_leaves_out() -> None:
    one = [row("a", True), row("b", False)]
    assert headline(summarise({}, one)) == "50.0 [9.5, 90.5] % right of 2 questions"
    assert headline(summarise({}, [*one, row("a", False, resolution=448)])) == "% right: 0.0 at 448, 50.0 at native"
    budgets = [row("a", True, resolution=448, budget=112), row("a", False, resolution=448, budget=224)]
    assert headline(summarise({}, budgets)) == "% right: 100.0 at 112, 0.0 at 224"
    asked = [row("a", size > 224, resolution=size) for size in (224, 448, 896)]
    blank = [row("a", False, resolution=size, region="blank") for size in (224, 448, 896)]
    assert headline(summarise({}, [*one, row("a", False, region="blank")])) == headline(summarise({}, one))
    mean = headline(summarise({}, asked))
    assert headline(summarise({}, [*asked, *blank])) == mean
    assert mean.endswith("the mean of 3 resolutions from 224 to 896")
    assert mean.startswith("66.7 [")
