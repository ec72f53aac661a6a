"""What drawing scenes costs: milliseconds a picture, on one core. Ends with 1 if a target is missed."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from cof_agent.images.geometry import Corners, Size
from cof_agent.scenes.render import WHOLE, render
from cof_agent.scenes.scene import Scene
from cof_agent.scenes.split import Split

VIEW: Size = (224, 224)
SCENES = 200
VIEW_MS, WHOLE_MS = 5.0, 2000.0


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


def row(name: str, spent: list[float], target: float | None = None) -> bool:
    """Print a line; whether the target, if any, is kept."""
    median, high = statistics.median(spent), sorted(spent)[int(0.95 * len(spent))]
    kept = target is None or median < target
    said = "" if target is None else f"   target: median under {target:g} ms{'' if kept else ' MISSED'}"
    print(f"{name:<44} median {median:7.2f} ms   95% under {high:7.2f} ms{said}")
    return kept


def main() -> int:
    scenes = []
    made = [
        milliseconds(lambda number=number: scenes.append(Scene.from_seed(Split.TRAIN.seed(number))))  # type: ignore[misc]
        for number in range(SCENES)
    ]
    first, again, near, close = [], [], [], []
    for scene in scenes:
        for spent, frame in (
            (first, WHOLE), (again, WHOLE), (near, around(scene, 0.1)), (close, around(scene, 0.02)),
        ):  # fmt: skip
            spent.append(milliseconds(lambda scene=scene, frame=frame: render(scene, VIEW, frame)))  # type: ignore[misc]
    large = [milliseconds(lambda scene=scene: render(scene, scene.size(3840))) for scene in scenes[:15]]  # type: ignore[misc]
    row("a scene from its seed", made)
    kept = [
        row("whole scene at 224x224, first time", first, VIEW_MS),
        row("whole scene at 224x224, again", again, VIEW_MS),
        row("an object and 0.1 short sides about it", near, VIEW_MS),
        row("an object and 0.02 short sides about it", close, VIEW_MS),
        row("whole scene, longer side 3840", large, WHOLE_MS),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
