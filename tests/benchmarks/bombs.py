"""What small files that are made to be costly cost: seconds and memory, with the process that decodes them.

Run with `python -m tests.benchmarks.bombs`. Ends with 1 if one takes 2 s of processor time or 400 MB.
Honest images of the largest sizes follow, with what the cost model states for them.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.support.bombs import BOMBS, saved

SECONDS, MEGABYTES = 2.0, 400.0

_LOOK = """
import json, re, resource, sys
from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from cof_agent.images.codecs.decoding import Encoded
data = open(sys.argv[1], "rb").read()
def spent():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
began = spent()
limits = ImageLimits(decode_seconds=120)
try:
    said = "opened, {}x{}".format(*open_image(data, limits=limits).ref.size)
except ImageError as error:
    said = str(error)
seconds = spent() - began
own = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
try:
    model = Encoded(data, "it", limits).cost(1)
except ImageError:
    model = None
print(json.dumps([said, seconds, own + child, [model.nbytes / 2**20, model.seconds] if model else None]))
"""


def noise(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width // 8, height // 8), 60).resize((width, height), Image.Resampling.BICUBIC)


def photo(width: int, height: int) -> Image.Image:
    grey = noise(width, height)
    return Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), grey))


HONEST: dict[str, Callable[[], bytes]] = {
    "JPEG, 178 MP": lambda: saved(photo(16_000, 11_120), "JPEG", quality=80),
    "progressive JPEG, 48 MP": lambda: saved(photo(8_000, 6_000), "JPEG", quality=85, progressive=True),
    "PNG, 178 MP": lambda: saved(noise(16_000, 11_120), "PNG", compress_level=1),
    "WebP, 160 MP": lambda: saved(photo(16_000, 10_000), "WEBP", quality=60, method=0),
    "lossless WebP, 12 MP": lambda: saved(photo(4_000, 3_000), "WEBP", lossless=True, quality=0, method=0),
    "JPEG 2000, 20 MP": lambda: saved(photo(5_000, 4_000), "JPEG2000", quality_mode="rates", quality_layers=[20]),
    "AVIF, 12 MP": lambda: saved(photo(4_000, 3_000), "AVIF", speed=10),
    "QOI, 1 MP": lambda: saved(photo(1_000, 1_000), "QOI"),
}


def look(data: bytes, folder: Path) -> tuple[str, float, float, list[float] | None]:
    """What is said of it, seconds of processor time, and the peak of both processes in MB."""
    file = folder / "image"
    file.write_bytes(data)
    done = subprocess.run([sys.executable, "-c", _LOOK, str(file)], capture_output=True, text=True, check=True)
    said, seconds, memory, model = json.loads(done.stdout)
    return said, seconds, memory, model


def main() -> int:
    processor = platform.processor() or platform.machine()
    if match := re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()):
        processor = match[1]
    print(f"images that are made to be costly, each opened by a process of its own ({processor})")
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, make in BOMBS.items():
            # What makes them is another process: a child's peak counts that of the process it was split from.
            said, seconds, memory, _ = look(make(), folder)
            late = seconds >= SECONDS or memory >= MEGABYTES or said.startswith("opened")
            missed += late
            print(f"  {kind:20} {seconds:5.2f} s {memory:5.0f} MB{'  MISSED' if late else ''}: {said[:110]}")
        print(f"  wanted: under {SECONDS:g} s of processor time and {MEGABYTES:g} MB each, and none opened")
        print("honest images, and what the cost model states (parts kept for later zooms and the interpreters besides)")
        for kind, make in HONEST.items():
            began = time.perf_counter()
            data = make()
            made = time.perf_counter() - began
            said, seconds, memory, model = look(data, folder)
            stated = f"model {model[0]:5.0f} MB {model[1]:5.1f} s" if model else "told by its decoder"
            failed = not said.startswith("opened")
            missed += failed
            print(
                f"  {kind:24} {len(data) / 1e6:6.1f} MB, made in {made:4.1f} s: {seconds:5.2f} s {memory:5.0f} MB, "
                f"{stated}{'  MISSED' if failed else ''}: {said[:90]}"
            )
    return missed


if __name__ == "__main__":
    sys.exit(main() > 0)
