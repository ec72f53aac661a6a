"""Images that the rows of a benchmark name: found however they are written, and never outside of its directory."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cof_agent.evaluation.benchmarks import open_benchmark
from tests.support.evaluation.layouts import jpeg, mme, mme_row, split, vstar, vstar_row, write_lines

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and names of POSIX")


def as_vstar(directory: Path, image: str) -> str:
    return f"vstar:{vstar(directory, vstar_row(0, image=image))}"


def as_mme(directory: Path, image: str) -> str:
    return f"mme-realworld-lite:{mme(directory, mme_row(0, Image=image))}"


def as_jsonl(directory: Path, image: str) -> str:
    row: dict[str, Any] = {"image": image, "question": "Which?", "answer": "x"}
    directory.mkdir(exist_ok=True)
    return f"jsonl:{write_lines(directory / 'mine.jsonl', row)}"


LAYOUTS: dict[str, tuple[Callable[[Path, str], str], str]] = {
    "vstar": (as_vstar, ""),
    "mme": (as_mme, "data"),
    "jsonl": (as_jsonl, ""),
}
"""How each is made, and the folder of its rows."""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "image",
    ["{}/private.jpg", "file://{}/private.jpg", "../private.jpg", "../../private.jpg", "link.jpg", "linked/private.jpg",
     r"..\private.jpg", r"..\..\private.jpg", "sub/../../../private.jpg"],
)  # fmt: skip
def test_an_image_outside_makes_a_malformed_row(image: str, layout: str, tmp_path: Path) -> None:
    make, folder = LAYOUTS[layout]
    directory = tmp_path / "set"
    directory.mkdir()
    spec = make(directory, image.format(tmp_path))
    rows = directory / folder
    (tmp_path / "private.jpg").write_bytes(jpeg())
    (directory / "private.jpg").write_bytes(jpeg()) if folder else None
    (rows / "link.jpg").symlink_to(tmp_path / "private.jpg")
    (rows / "linked").symlink_to(tmp_path)
    questions, (malformed,) = split(list(open_benchmark(spec)))
    assert questions == []
    assert f"leads out of {rows}: put the file itself there" in malformed.why or (
        layout != "jsonl" and image.startswith("file:") and "is not a file in" in malformed.why
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("stored", "named"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_an_image_is_found_in_the_other_normalisation_and_with_backslashes(
    stored: str, named: str, layout: str, tmp_path: Path
) -> None:
    make, folder = LAYOUTS[layout]
    spec = make(tmp_path, unicodedata.normalize(named, "Größe\\für é.jpg"))
    path = tmp_path / folder / unicodedata.normalize(stored, "Größe") / unicodedata.normalize(stored, "für é.jpg")
    path.parent.mkdir()
    path.write_bytes(jpeg())
    (question,), malformed = split(list(open_benchmark(spec)))
    assert (question.image, malformed) == (str(path), [])


def test_a_file_url_and_a_full_path_may_name_what_is_beside_the_rows(tmp_path: Path) -> None:
    (tmp_path / "a photo.jpg").write_bytes(jpeg())
    for image in ((tmp_path / "a photo.jpg").as_uri(), str(tmp_path / "a photo.jpg"), "file:a%20photo.jpg"):
        (question,), malformed = split(list(open_benchmark(as_jsonl(tmp_path, image))))
        assert (Path(str(question.image)).name, malformed) == ("a photo.jpg", [])
    for image, why in (("file://elsewhere/a.jpg", "is on another host"), ("file://[/a.jpg", "is not a valid file URL")):
        _, (row,) = split(list(open_benchmark(as_jsonl(tmp_path, image))))
        assert why in row.why


def test_a_mistyped_address_is_not_repeated(tmp_path: Path) -> None:
    spec = as_jsonl(tmp_path, "https//ann:hunter2@host/x?sig=hunter2")
    _, (malformed,) = split(list(open_benchmark(spec)))
    assert "hunter2" not in malformed.why


def test_boxes_are_not_read_from_elsewhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = vstar(tmp_path / "set", vstar_row(0))
    boxes = directory / "direct_attributes" / "sa_4690.json"
    boxes.rename(tmp_path / "private.json")
    boxes.symlink_to(tmp_path / "private.json")
    (question,), _ = split(list(open_benchmark(f"vstar:{directory}")))
    assert question.boxes == ()
    assert "leads out" in caplog.text
    boxes.unlink()
    os.mkfifo(boxes)
    (question,), _ = split(list(open_benchmark(f"vstar:{directory}")))
    assert question.boxes == ()
