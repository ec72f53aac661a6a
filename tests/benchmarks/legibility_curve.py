"""How small objects of scenes may be for the ideal observer to read them, and what can be reached at which resolution.

python -m tests.benchmarks.legibility_curve [--count N]     # accuracy of reading by size, for each attribute
python -m tests.benchmarks.legibility_curve --reach         # share of questions within reach by resolution
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from random import Random

from PIL import Image

from cof_agent.images.geometry import Box
from cof_agent.scenes import Scene, SceneObject, Split
from cof_agent.scenes.legibility import LEGIBLE
from cof_agent.scenes.question import SceneQuestion, scene_question
from cof_agent.scenes.reach import SCENE_PROFILE, Outlook, ideal_zooms
from cof_agent.scenes.reading import Scores, ViewGrid, best, read_character, read_colour, read_shape
from cof_agent.scenes.render import render

READ: dict[str, Callable[..., Scores]] = {"colour": read_colour, "shape": read_shape, "character": read_character}
STEPS = (0.25, 0.35, 0.5, 0.6, 0.71, 0.84, 1.0, 1.19, 1.41, 2.0)
"""Sizes, in thresholds."""
RESOLUTIONS = (224, 336, 448, 672, 1024, 1536, 2240, 3840)


def sized(question: SceneQuestion, pixels: float, *, enlarged: bool) -> tuple[ViewGrid, SceneObject, SceneQuestion]:
    """A view in which the question's first target has a side of `pixels` pixels that count.

    Either the overview of a large source, or (`enlarged`) a zoom on a source that has no more pixels than that.
    """
    scene, index = question.scene, question.targets[0]
    source = scene.size(480 if enlarged else 1000)
    outlook = Outlook(source, SCENE_PROFILE)
    size = scene.objects[index].size
    for _ in range(3):  # where the zoom lies depends a little on the size
        alone = replace(question, scene=_with_size(scene, index, size), targets=(0,))
        (place,) = alone.boxes
        region = outlook.zoom([place])
        now = outlook.seen_in(place, region) if enlarged else outlook.seen(place)
        size *= pixels / now
    alone = replace(question, scene=_with_size(scene, index, size), targets=(0,))
    image = render(alone.scene, source)
    if enlarged:
        region = outlook.zoom(alone.boxes)
        box = region.box
        cut = image.crop((box.x1, box.y1, box.x2, box.y2)).resize(region.shown, Image.Resampling.LANCZOS)
        return ViewGrid(cut, box, source), alone.scene.objects[0], alone
    whole = image.resize(outlook.overview, Image.Resampling.LANCZOS)
    return ViewGrid(whole, Box.whole(source), source), alone.scene.objects[0], alone


def _with_size(scene: Scene, index: int, size: float) -> Scene:
    """The scene with object `index` first, resized, moved inside if need be, and without what it then meets."""
    half = size / 2 + 0.01
    old = scene.objects[index]
    x = min(max(old.x, half), scene.width - half)
    y = min(max(old.y, half), scene.height - half)
    target = replace(old, size=size, x=x, y=y)
    others = [
        other
        for position, other in enumerate(scene.objects)
        if position != index and max(abs(other.x - x), abs(other.y - y)) > (other.size + size) / 2 + 0.01
    ]
    return replace(scene, objects=(target, *others))


def accuracy(attribute: str, pixels: float, numbers: Sequence[int]) -> tuple[int, int]:
    """Right readings and readings of an attribute at a size; every second of a source that was enlarged."""
    right = 0
    for number in numbers:
        question = scene_question(Split.VALIDATION, number)
        sight, truth, alone = sized(question, pixels, enlarged=number % 2 == 1)
        scores = READ[attribute](sight, alone.boxes[0])
        right += best(scores, Random(f"{attribute} {number}")) == getattr(truth, attribute)
    return right, len(numbers)


def curve(count: int) -> Iterator[str]:
    yield "| attribute | size, px | thresholds | right | of | share |"
    yield "|---|---:|---:|---:|---:|---:|"
    for attribute, threshold in LEGIBLE.items():
        for step in STEPS:
            right, total = accuracy(attribute, step * threshold, range(count))
            yield f"| {attribute} | {step * threshold:.1f} | {step:.2f} | {right} | {total} | {right / total:.1%} |"


def ceilings(resolution: int, count: int) -> tuple[float, float, float]:
    """Shares of test questions that can be told from the overview and with zooms, and the mean zooms these need."""
    questions = (_tested(number) for number in range(count))
    zooms = [ideal_zooms(question, question.scene.size(resolution)) for question in questions]
    within = [number for number in zooms if number is not None]
    return within.count(0) / count, len(within) / count, sum(within) / max(1, len(within))


@cache
def _tested(number: int) -> SceneQuestion:
    return scene_question(Split.TEST, number)


def reach(count: int) -> Iterator[str]:
    yield "| long side, px | from the overview | with zooms | gap, points | zooms of those within reach |"
    yield "|---:|---:|---:|---:|---:|"
    gaps = []
    for resolution in RESOLUTIONS:
        direct, adaptive, zooms = ceilings(resolution, count)
        gaps.append(adaptive - direct)
        yield f"| {resolution} | {direct:.1%} | {adaptive:.1%} | {100 * gaps[-1]:.1f} | {zooms:.2f} |"
    yield f"| mean | | | {100 * sum(gaps) / len(gaps):.1f} | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="scenes per size (400) or questions per resolution (2000)")
    parser.add_argument("--reach", action="store_true", help="what is within reach, from geometry alone")
    given = parser.parse_args()
    if given.count is not None and given.count < 1:
        parser.error(f"--count is 1 or more, not {given.count}")
    for line in reach(given.count or 2000) if given.reach else curve(given.count or 400):
        print(line, flush=True)


if __name__ == "__main__":
    main()
