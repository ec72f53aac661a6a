"""What drawing scenes costs: milliseconds a picture, on one core, against reading the same picture from a file.

Ends with 1 if a target, a ratio to what Pillow alone takes in the same run, is missed.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable

from PIL import Image

from cof_agent.images.geometry import Corners, Size
from cof_agent.scenes.render import WHOLE, render
from cof_agent.scenes.scene import Scene
from cof_agent.scenes.split import Split
from tests.benchmarks.machine import machine

VIEW: Size = (224, 224)
SCENES = 200
FILE = 1344
"""Longer side of the JPEG from which Pillow alone makes a view."""
VIEW_RATIO, WHOLE_RATIO = 1.0, 8.0
"""At most so many times what Pillow takes to make a view of such a file, and of one as large as what is drawn."""


def milliseconds(work: Callable[[], object]) -> float:
    """Of this process on its processor: what others do on the machine does not count."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def around(scene: Scene, margin: float) -> Corners:
    """The first object with `margin` short sides about it, as far as the scene goes."""
    x1, y1, x2, y2 = scene.objects[0].box
    left, top, right, bottom = scene.fraction((x1 - margin, y1 - margin, x2 + margin, y2 + margin))
    return max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom)


def pillow(scene: Scene, longer: int) -> Callable[[], object]:
    """Decodes a JPEG of the whole scene, and makes it as large as a view."""
    buffer = io.BytesIO()
    render(scene, scene.size(longer)).save(buffer, "JPEG", quality=95)
    return lambda: Image.open(buffer).convert("RGB").resize(VIEW, Image.Resampling.LANCZOS)


def row(name: str, spent: list[float], plain: list[float] | None = None, target: float = 0.0) -> bool:
    """Print a line; whether the target is kept, if there is one: at most so many times what Pillow takes."""
    median, high = statistics.median(spent), sorted(spent)[int(0.95 * len(spent))]
    ratio = median / statistics.median(plain) if plain else 0.0
    kept = ratio <= target
    said = f"   {ratio:5.2f} times Pillow (wanted: at most {target:g}){'' if kept else ' MISSED'}" if plain else ""
    print(f"{name:<44} median {median:7.2f} ms   95% under {high:7.2f} ms{said}")
    return kept


def main() -> int:
    print(machine())
    scenes = []
    made = [
        milliseconds(lambda number=number: scenes.append(Scene.from_seed(Split.TRAIN.seed(number))))  # type: ignore[misc]
        for number in range(SCENES)
    ]
    first, again, near, close, plain, large, plain_large = [], [], [], [], [], [], []
    for number, scene in enumerate(scenes):
        for spent, frame in (
            (first, WHOLE), (again, WHOLE), (near, around(scene, 0.1)), (close, around(scene, 0.02)),
        ):  # fmt: skip
            spent.append(milliseconds(lambda scene=scene, frame=frame: render(scene, VIEW, frame)))  # type: ignore[misc]
        plain.append(milliseconds(pillow(scene, FILE)))
        if number < 15:
            large.append(milliseconds(lambda scene=scene: render(scene, scene.size(3840))))  # type: ignore[misc]
            plain_large.append(milliseconds(pillow(scene, 3840)))
    row("a scene from its seed", made)
    row(f"Pillow alone: a JPEG of {FILE} decoded, as a view", plain)
    row("Pillow alone: one of 3840", plain_large)
    kept = [
        row("whole scene at 224x224, first time", first, plain, VIEW_RATIO),
        row("whole scene at 224x224, again", again, plain, VIEW_RATIO),
        row("an object and 0.1 short sides about it", near, plain, VIEW_RATIO),
        row("an object and 0.02 short sides about it", close, plain, VIEW_RATIO),
        row("whole scene, longer side 3840", large, plain_large, WHOLE_RATIO),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
