"""Plots of runs as PNG bytes: accuracy, zooms and tokens against the size of what there was to see."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import log2
from typing import TYPE_CHECKING, Any, Literal

from cof_agent.errors import MissingExtraError
from cof_agent.evaluation.report.table import budget_name
from cof_agent.evaluation.sizes import told
from cof_agent.evaluation.summary import CellFigures, Summary, excerpt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito, "Color Universal Design" (2008): told apart with every kind of colour vision."""
MARKERS = "os^DvPX"
GREY = "#6b6b6b"
WIDTH, HEIGHT = 6.6, 4.0
"""Inches."""
DOTS_PER_INCH = 160
NAME = 48
"""Characters of a line's name that are drawn."""

Axis = Literal["resolution", "budget"]


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of one run. `x` None stands for pictures as they are (or the policy's own budget)."""

    x: int | None
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """What one run gave under settings that differ in one axis."""

    name: str
    points: tuple[Point, ...]


def plots_of(runs: Mapping[str, Summary]) -> dict[str, bytes]:
    """PNG files by their names; what nothing is known of is left out. Raises MissingExtraError without matplotlib."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError.for_extra("eval", "drawing plots") from error
    plain = {name: summary.plain for name, summary in runs.items()}
    axis = _axis([figures for cells in plain.values() for figures in cells])
    made: dict[str, bytes] = {}

    def draw(name: str, title: str, value: Callable[[CellFigures], Point | None], **look: Any) -> None:
        lines = [line for run, cells in plain.items() for line in _lines(run, cells, axis, value)]
        if lines:
            made[f"{name}.png"] = line_plot(lines, title, axis, **look)

    known = [figures.chance for cells in plain.values() for figures in cells if figures.chance is not None]
    chance = sum(known) / len(known) if known else None
    draw("accuracy", "Right answers (%)", _accuracy, top=100.0, chance=chance)
    draw("zooms", "Zooms per question", lambda cell: _mean(cell.costs.zooms))
    draw("visual_tokens", "Visual tokens per question", lambda cell: _mean(cell.costs.visual_tokens))
    draw("text_tokens", "Text tokens per question", lambda cell: _mean(cell.costs.completion_tokens))
    draw("followed", "Right answers that follow a changed picture (%)", _followed, top=100.0)
    costs = [line for run, cells in plain.items() for line in _cost_lines(run, cells, axis)]
    if costs:
        made["accuracy_by_tokens.png"] = cost_plot(costs, chance=chance)
    return made


def line_plot(
    lines: Sequence[Curve], title: str, axis: Axis, *, top: float | None = None, chance: float | None = None
) -> bytes:
    """One line each against a log2 axis whose ticks are the sizes that occur; intervals as bands, or bars if alone."""
    figure, axes = _figure(
        title, "long side of the picture (pixels)" if axis == "resolution" else "side of the first look (pixels)"
    )
    sizes = sorted({point.x for line in lines for point in line.points if point.x})
    places: dict[int | None, float] = {size: log2(size) for size in sizes}
    if any(point.x is None for line in lines for point in line.points):
        places[None] = (places[sizes[-1]] if sizes else 0.0) + 0.7
    for number, line in enumerate(lines):
        _draw_line(axes, line, places, number)
    axes.set_xticks(list(places.values()), [told(x) if axis == "resolution" else budget_name(x) for x in places])
    axes.set_xlim(min(places.values()) - 0.25, max(places.values()) + 0.25)
    _finish(figure, axes, lines, top, chance)
    return _png(figure)


def cost_plot(lines: Sequence[tuple[Curve, Sequence[str]]], *, chance: float | None = None) -> bytes:
    """Accuracy against what was looked at; points bear the names of their settings. `x` of the points: tokens."""
    figure, axes = _figure("Right answers (%) against what was looked at", "visual tokens per question")
    for number, (line, _) in enumerate(lines):
        look = _look(number)
        across, up = [point.x or 0 for point in line.points], [point.y for point in line.points]
        axes.plot(across, up, markersize=5, linewidth=1.6, label=_drawn(line.name), **look)
    every = [point.x or 0 for line, _ in lines for point in line.points]
    least, most = min(every), max(every)
    if least > 0 and most > 6 * least:
        axes.set_xscale("log", base=2)
        axes.set_xlim(least / 1.3, most * 1.3)
    else:
        span = max(most - least, 0.3 * most, 1.0)
        axes.set_xlim(max(0.0, (least + most - 1.3 * span) / 2), (least + most + 1.3 * span) / 2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    _finish(figure, axes, [line for line, _ in lines], 100.0, chance)
    _name_points(axes, lines)
    return _png(figure)


def _name_points(axes: Axes, lines: Sequence[tuple[Curve, Sequence[str]]]) -> None:
    """Write each point's name above, below or beside it, where there is room; else not at all."""
    place = axes.transData + axes.transAxes.inverted()
    points = [place.transform((point.x or 0, point.y)) for line, _ in lines for point in line.points]
    names = [(name, number) for number, (_, names) in enumerate(lines) for name in names]
    taken: list[tuple[float, float]] = []
    for (x, y), (name, number) in zip(points, names, strict=True):
        for spot in ((x, y + 0.04), (x, y - 0.04), (x + 0.05, y), (x - 0.05, y)):
            free = all(abs(spot[0] - a) > 0.06 or abs(spot[1] - b) > 0.045 for a, b in taken)
            if free and all(abs(spot[0] - a) > 0.04 or abs(spot[1] - b) > 0.03 for a, b in points):
                colour = COLOURS[number % len(COLOURS)]
                axes.text(*spot, name, transform=axes.transAxes, ha="center", va="center", fontsize=7.5, color=colour)
                taken.append(spot)
                break


def _axis(cells: Sequence[CellFigures]) -> Axis:
    """What the runs vary: the resolution, unless only the budget does."""
    resolutions, budgets = {figures.cell.resolution for figures in cells}, {figures.cell.budget for figures in cells}
    return "budget" if len(resolutions) < 2 <= len(budgets) else "resolution"


def _by_line(run: str, cells: Sequence[CellFigures], axis: Axis) -> dict[str, list[CellFigures]]:
    """The cells of each line, by its name: one for every value of the axis that is not drawn."""
    groups: dict[int | None, list[CellFigures]] = {}
    for figures in cells:
        groups.setdefault(figures.cell.budget if axis == "resolution" else figures.cell.resolution, []).append(figures)
    other = "first look" if axis == "resolution" else "picture"
    shown = budget_name if axis == "resolution" else told
    return {
        " ".join(filter(None, (run, f"{other} {shown(held)}" if len(groups) > 1 else ""))): members
        for held, members in groups.items()
    }


def _lines(
    run: str, cells: Sequence[CellFigures], axis: Axis, value: Callable[[CellFigures], Point | None]
) -> list[Curve]:
    found = []
    for name, members in _by_line(run, cells, axis).items():
        points = [(getattr(figures.cell, axis), value(figures)) for figures in members]
        known = tuple(Point(x, point.y, point.low, point.high) for x, point in points if point)
        if known:
            found.append(Curve(name, known))
    return found


def _cost_lines(run: str, cells: Sequence[CellFigures], axis: Axis) -> list[tuple[Curve, list[str]]]:
    found = []
    shown = told if axis == "resolution" else budget_name
    for name, members in _by_line(run, cells, axis).items():
        points, names = [], []
        for figures in members:
            accuracy, tokens = _accuracy(figures), figures.costs.visual_tokens
            if accuracy and tokens is not None:
                points.append(Point(round(tokens), accuracy.y))
                names.append(shown(getattr(figures.cell, axis)))
        if points:
            found.append((Curve(name, tuple(points)), names))
    return found


def _accuracy(figures: CellFigures) -> Point | None:
    share = figures.accuracy
    return (
        None if share.value is None else Point(None, 100 * share.value, 100 * (share.low or 0), 100 * (share.high or 0))
    )


def _followed(figures: CellFigures) -> Point | None:
    share = figures.faithfulness.followed if figures.faithfulness else None
    if share is None or share.value is None:
        return None
    return Point(None, 100 * share.value, 100 * (share.low or 0), 100 * (share.high or 0))


def _mean(value: float | None) -> Point | None:
    return None if value is None else Point(None, value)


def _figure(title: str, below: str) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    FigureCanvasAgg(figure := Figure(figsize=(WIDTH, HEIGHT), dpi=DOTS_PER_INCH, facecolor="white"))
    axes = figure.add_subplot(facecolor="white")
    axes.set_title(title, loc="left")
    axes.set_xlabel(below, fontsize=9, color="#333333")
    axes.tick_params(labelsize=8.5, color="#bbbbbb", labelcolor="#333333", which="both", length=3)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    return figure, axes


def _look(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)], "clip_on": False}


def _draw_line(axes: Axes, line: Curve, places: Mapping[int | None, float], number: int) -> None:
    look = _look(number)
    along = sorted((point for point in line.points if point.x), key=lambda point: point.x or 0)
    alone = [point for point in line.points if point not in along or len(along) == 1]
    if len(along) > 1:
        x = [places[point.x] for point in along]
        axes.plot(x, [point.y for point in along], markersize=5, linewidth=1.8, label=_drawn(line.name), **look)
        if all(point.low is not None for point in along):
            low, high = [point.low or 0.0 for point in along], [point.high or 0.0 for point in along]
            axes.fill_between(x, low, high, color=look["color"], alpha=0.13, linewidth=0)
    for position, point in enumerate(alone):
        label = None if len(along) > 1 or position else _drawn(line.name)
        spread = None if point.low is None or point.high is None else [[point.y - point.low], [point.high - point.y]]
        axes.errorbar(
            [places[point.x]], [point.y], yerr=spread, capsize=3, markersize=6, linestyle="", label=label, **look
        )


def _finish(figure: Figure, axes: Axes, lines: Sequence[Curve], top: float | None, chance: float | None) -> None:
    highest = max((point.high or point.y for line in lines for point in line.points), default=0.0)
    axes.set_ylim(0, 1.02 * top if top else 1.12 * highest or 1.0)
    if not top and highest >= 1_000:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    if chance is not None:
        axes.axhline(100 * chance, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
        axes.annotate(
            "chance",
            (1, 100 * chance),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=GREY,
        )
    longest = max(len(_drawn(line.name)) for line in lines)
    columns = min(len(lines), 3 if longest <= 20 else 2 if longest <= 34 else 1)
    rows = -(-len(lines) // columns) if len(lines) > 1 else 0
    if rows:
        legend = axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=columns,
            fontsize=8.5,
            frameon=False,
            borderaxespad=0,
            handlelength=1.8,
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    above = 10 + 15.5 * rows  # points between the axes and the title; the axes keep their size
    axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=11, fontweight="bold", color="#222222", pad=above)
    height = HEIGHT + 15.5 * rows / 72
    figure.set_size_inches(WIDTH, height)
    top = 1 - (above + 20) / (72 * height)
    figure.subplots_adjust(left=0.085, right=0.975, bottom=0.13 * HEIGHT / height, top=top)


def _drawn(name: str) -> str:
    """A name with only what the font can draw, and not hidden from the legend by a leading underscore."""
    known = _characters()
    shown = "".join(character if ord(character) in known else "?" for character in name).lstrip("_") or "run"
    return excerpt(shown, NAME)


@cache
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})  # the same plot is the same file
    return data.getvalue()
