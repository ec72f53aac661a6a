"""How far accuracy falls with tampered regions, against figures worked out by hand."""

from __future__ import annotations

import pytest

from cof_agent.evaluation.report.run_tables import sheets
from cof_agent.evaluation.statistics import paired_test
from cof_agent.evaluation.summary import Need
from cof_agent.evaluation.tally import summarise
from cof_agent.evaluation.tampering import Tampering
from tests.support.evaluation.rows import failed_row, lifelike_rows, row

pytestmark = pytest.mark.slow

ZOOMS = {"ideal_zooms": 1, "reachable": True}
NO_ZOOM = {"ideal_zooms": 0, "reachable": True}


def test_one_setting_by_hand() -> None:
    plain = [
        row("a", True, zooms=1, chance=0.25, **ZOOMS),
        row("b", True, zooms=2, **ZOOMS),
        row("c", True, **NO_ZOOM),
        row("d", False),
        row("e", True, zooms=1),  # not asked again: no pair
    ]
    blank = [
        row("a", False, chance=0.25, region="blank", **ZOOMS),
        row("b", True, region="blank", **ZOOMS),
        row("c", True, zooms=3, region="blank", **NO_ZOOM),  # zoomed only now: nothing was lost by that
        row("d", True, region="blank"),
        row("f", True, region="blank"),
    ]
    plain_figures, blank_figures = summarise({}, [*blank, *plain]).cells
    assert (plain_figures.n, plain_figures.accuracy.count, blank_figures.cell.region) == (5, 4, Tampering.BLANK)
    assert blank_figures.regions == ()
    (found,) = plain_figures.regions
    assert found.region is Tampering.BLANK
    assert (found.all.n, found.all.plain, found.all.tampered, found.all.chance) == (4, 0.75, 0.75, 1.75 / 4)
    assert found.all.fall is not None
    assert found.all.fall.value == 0
    assert (found.zoomed.n, found.zoomed.plain, found.zoomed.tampered, found.zoomed.chance) == (2, 1, 0.5, 0.375)
    assert found.zoomed.fall is not None
    assert (found.zoomed.fall.low, found.zoomed.fall.value, found.zoomed.fall.high) == (0, 0.5, 1)
    assert {need: (fall.n, fall.plain, fall.tampered) for need, fall in found.needs.items()} == {
        Need.ZOOM: (2, 1, 0.5),
        Need.NO_ZOOM: (1, 1, 1),
    }


def test_the_interval_is_that_of_a_comparison_of_two_runs() -> None:
    rows = lifelike_rows(0.9, n=240, regions=("elsewhere",))
    plain = {found.question: found for found in rows if found.cell.plain and found.cell.resolution == 896}
    other = [found for found in rows if found.cell.region and found.cell.resolution == 896]
    compared = paired_test([[(plain[found.question], found) for found in other]]).accuracy
    (figures,) = (found for found in summarise({}, rows).plain if found.cell.resolution == 896)
    fall = figures.regions[0].all.fall
    assert fall is not None
    assert (fall.value, fall.low, fall.high) == pytest.approx((-compared.value, -compared.high, -compared.low))
    assert fall.low > 0


def test_a_policy_that_never_zooms_loses_nothing_and_has_no_questions_with_a_zoom() -> None:
    rows = [row(name, name in "ab", region=region) for name in "abcd" for region in (None, "overview")]
    (found,) = summarise({}, rows).plain[0].regions
    assert found.all.fall is not None
    assert (found.all.fall.low, found.all.fall.value, found.all.fall.high) == (0, 0, 0)
    assert (found.zoomed.n, found.zoomed.plain, found.zoomed.tampered, found.zoomed.fall) == (0, None, None, None)
    assert found.needs == {}


def test_what_failed_counts_as_wrong() -> None:
    rows = [row("a", True, zooms=1), failed_row("a", region="blank", usage=None), failed_row("b", usage=None)]
    (found,) = summarise({}, [*rows, row("b", True, region="blank")]).plain[0].regions
    assert (found.all.n, found.all.plain, found.all.tampered) == (2, 0.5, 0.5)
    assert (found.zoomed.n, found.zoomed.tampered) == (1, 0)


def test_a_mean_is_over_one_axis_and_of_all_questions_each_cell_weighs_the_same() -> None:
    rows = []
    for name, size, zooms, after in (
        *((f"q{number}", 224, 0, True) for number in range(4)),
        ("q0", 448, 1, False),
        ("q1", 448, 0, True),
    ):
        rows += [row(name, True, resolution=size, budget=112, zooms=zooms)]
        rows += [row(name, after, resolution=size, budget=112, region="blank")]
    rows += [row("q0", True, resolution=224, budget=224), row("q0", False, resolution=224, budget=224, region="blank")]
    averages = summarise({}, rows).averages
    assert [(found.over, found.held, found.region) for found in averages] == [
        ("resolution", 112, None), ("resolution", 112, "blank"), ("budget", 224, None), ("budget", 224, "blank"),
    ]  # fmt: skip
    found = averages[0].regions[0]
    assert found.all.fall is not None
    assert found.all.fall.value == pytest.approx((0 + 1 / 2) / 2)
    assert (found.all.n, found.all.plain, found.all.tampered) == (6, 1, 0.75)
    assert (found.zoomed.n, found.zoomed.tampered) == (1, 0)
    assert averages[1].regions == ()


def test_each_kind_has_its_lines_and_the_table_says_what_was_lost() -> None:
    rows = [row(name, True, zooms=1) for name in "ab"]
    rows += [row(name, name == "a", region=region) for name in "ab" for region in ("overview", "blank")]
    found = {sheet.title: sheet for sheet in sheets(summarise({}, rows), full=False)}
    table = found["Tampered regions: how far accuracy falls"]
    assert table.columns == ("source", "regions", "questions", "n", "as it is %", "tampered %", "fall", "chance")
    values = ("2", "100.0", "50.0", "50.0 [0.0, 100.0]", "50.0")
    assert table.rows == tuple(
        ("native", region, which, *values) for region in ("blank", "overview") for which in ("all", "with a zoom")
    )
    assert [cells[0] for cells in found["Accuracy and cost"].rows] == ["native"]
    whole = {sheet.title: sheet for sheet in sheets(summarise({}, rows))}
    assert [cells[0] for cells in whole["Accuracy and cost"].rows] == ["native", "native blank", "native overview"]
