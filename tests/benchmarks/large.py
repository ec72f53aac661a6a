"""What `make large` prints: a TIFF of 1.2 gigapixels made, looked at, and asked about. Ends with 1 if one is missed.

It takes a minute or two, 100 MB of disk in a temporary directory, Linux, and the extras large and reader.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cof_agent import ChainOfFocus
from tests.benchmarks.machine import machine, report

SIZE = (40_000, 30_000)
SECONDS, MEGABYTES = 1.0, 250.0
"""Processor time and memory, at most, of opening, overview and region together, child processes included."""

QUESTION, ANSWER = "What is the number of the pump?", "4471"
SIGNS = {
    (24_300, 8_200): f"PUMP NUMBER {ANSWER}",
    (6_100, 21_500): "VALVE OPEN",
    (33_000, 25_400): "STORE ROOM",
}
"""Where words stand, in pixels."""

LETTERS = 64
"""Their height in pixels: not two in the overview, where nobody can see them."""

LOOK = """
import json, os, resource, sys
from cof_agent import Box, open_image
def seconds():
    return sum(os.times()[:4])
def peak():
    with open("/proc/self/status") as file:  # what `getrusage` says of this process includes the one that started it
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
begun = seconds()
source = open_image(sys.argv[1])
whole = source.overview((1344, 1008))
part = source.region(Box(24000, 8000, 25000, 8800), (1000, 800))
print(json.dumps({
    "size": source.ref.size,
    "imported": begun,
    "seconds": seconds() - begun,
    "megabytes": (peak() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024,
}))
"""
"""Nothing but the library is in the process that is measured. One child lives at a time: the largest counts."""


def main() -> int:
    print(machine())
    with tempfile.TemporaryDirectory(prefix="cof-agent-large-") as folder:
        file = Path(folder) / "plant.tif"
        started = time.monotonic()
        make(file)
        print(
            f"a TIFF of {SIZE[0]}x{SIZE[1]} made in {time.monotonic() - started:.0f} s: {file.stat().st_size >> 20} MB"
        )
        return 0 if all([*looked(file), asked(file)]) else 1


def make(file: Path) -> None:
    """A pyramid of JPEG tiles: a little noise over a slow gradient, a few walls, and the signs."""
    import pyvips

    noise = pyvips.Image.gaussnoise(512, 512, mean=0, sigma=3).copy_memory()
    ground = (
        pyvips.Image.xyz(*SIZE)[0] * (20 / SIZE[0])
        + 215
        + noise.replicate(*(side // 512 + 1 for side in SIZE)).crop(0, 0, *SIZE)
    )
    plan = ground.cast("uchar").bandjoin([ground.cast("uchar"), (ground - 12).cast("uchar")])
    for (x, y), words in SIGNS.items():
        letters = pyvips.Image.text(words, font="sans bold", height=LETTERS, width=6_000)
        letters = letters.resize(LETTERS / letters.height)
        ink = letters.embed(0, 0, letters.width, letters.height)
        sign = (255 - ink).bandjoin([255 - ink, 255 - ink]).cast("uchar")
        plan = plan.insert(sign.embed(60, 60, ink.width + 120, ink.height + 120, background=[255, 255, 255]), x, y)
    plan.copy(interpretation="srgb").tiffsave(
        str(file), tile=True, pyramid=True, compression="jpeg", Q=85, bigtiff=True, tile_width=256, tile_height=256
    )


def looked(file: Path) -> list[bool]:
    done = subprocess.run([sys.executable, "-c", LOOK, str(file)], capture_output=True, text=True, check=True)
    used: dict[str, Any] = json.loads(done.stdout)
    assert tuple(used["size"]) == SIZE
    what = "opened, overview and region:"
    print(f"Python and the library start in {used['imported']:.2f} s of processor time, which is not counted")
    return [
        report(what, used["seconds"], "s of processor time", used["seconds"] < SECONDS, f"below {SECONDS:g}"),
        report(what, used["megabytes"], "MB", used["megabytes"] < MEGABYTES, f"below {MEGABYTES:g}"),
    ]


def asked(file: Path) -> bool:
    started = time.monotonic()
    result = ChainOfFocus("reader").ask(file, QUESTION)
    for view in result.trajectory.views:
        print(view.describe())
    print(f"{QUESTION} {result.answer!r} ({time.monotonic() - started:.0f} s)")
    boxes, (x, y) = [each.box for each in result.evidence], next(iter(SIGNS))
    right = any(x1 <= x + 1_000 and x <= x2 and y1 <= y + 200 and y <= y2 for x1, y1, x2, y2 in boxes)
    zooms = len(result.trajectory.views) - 1
    return report(
        "zooms until it was read", zooms, "", ANSWER in (result.answer or "") and right and zooms >= 2, "2 or more"
    )


if __name__ == "__main__":
    sys.exit(main())
