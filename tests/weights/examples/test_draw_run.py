"""The picture of a run that the pages show is the picture of that run."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageChops, ImageStat

from tests.support.warm import WarmProcess

ROOT = Path(__file__).parents[3]


def test_the_picture_on_the_pages_is_that_of_the_run(tmp_path: Path) -> None:
    process = WarmProcess(["python", ROOT / "examples" / "draw_run.py"], tmp_path / "said", cwd=tmp_path)
    assert (process.wait(), process.said) == (0, "(C) Yamaha; 3 zooms drawn in run.png\n")
    shown = ROOT / "docs" / "img" / "run.png"
    assert shown.stat().st_size < 400_000
    with Image.open(shown) as committed, Image.open(tmp_path / "run.png") as drawn:
        assert committed.size == drawn.size
        difference = ImageChops.difference(committed.convert("L"), drawn.convert("L"))
    assert ImageStat.Stat(difference).mean[0] < 3
