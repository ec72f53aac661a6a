"""Training files tell nothing of where and with what a photo was taken, and show the same pixels."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cof_agent import ChainOfFocus, open_image, read_trajectories
from cof_agent.learning.exports.exporting import export
from cof_agent.learning.exports.trl import import_trl
from tests.support.conversations import answer, photo, scripted

pytestmark = pytest.mark.slow

KINDS = {"JPEG": "jpg", "TIFF": "tif"}


def taken(kind: str) -> bytes:
    """A photo on its side that says where it was taken."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x010F], exif[0x0112] = "hunter2 cameras", 6
    exif.get_ifd(0x8825)[0x1D] = "hunter2"
    photo(280, 196).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.fixture(params=KINDS)
def original(request: pytest.FixtureRequest) -> bytes:
    return taken(request.param)


def rows_of(path: Path) -> list[dict[str, Any]]:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    return list(pyarrow.read_table(path).to_pylist())


def same_pixels(data: bytes, original: bytes) -> bool:
    one, other = open_image(data), open_image(original)
    size = other.ref.size
    return one.ref.size == size and one.overview(size).tobytes() == other.overview(size).tobytes()


@pytest.mark.parametrize("form", ["trl-grpo", "trl-grpo parquet", "verl"])
def test_the_original_of_a_question_is_stripped(form: str, original: bytes, tmp_path: Path) -> None:
    runs, out = tmp_path / "evaluation", tmp_path / "out"
    (tmp_path / "photo").write_bytes(original)
    (tmp_path / "mine.jsonl").write_text(json.dumps({"image": "photo", "question": "What is it?", "answer": "42"}))
    evaluated(tmp_path, runs)
    images = runs / "trajectories" / "images"
    assert all(b"hunter2" not in file.read_bytes() for file in images.iterdir())
    (trajectory,) = read_trajectories(runs / "trajectories")
    (kept,) = images.glob(f"{trajectory.image.sha256}.*")
    kept.write_bytes(original)  # as earlier versions, and --save, keep it
    to, _, kept_as = form.partition(" ")
    assert export(runs, out, to=to, form=kept_as or "jsonl", allow_test=True).rows == 1
    assert all(b"hunter2" not in file.read_bytes() for file in out.rglob("*") if file.is_file())
    if form == "verl":
        (row,) = rows_of(out / "train.parquet")
        data = Path(row["extra_info"]["original"]).read_bytes()
    elif kept_as:
        (row,) = rows_of(out / "train.parquet")
        data = row["original"]["bytes"]
    else:
        row = json.loads((out / "metadata.jsonl").read_text())
        data = (out / row["original_file_name"]).read_bytes()
    assert same_pixels(data, original)


def evaluated(directory: Path, out: Path) -> None:
    from cof_agent.evaluation import evaluate

    evaluate(
        f"jsonl:{directory / 'mine.jsonl'}",
        scripted(answer("42")),
        out=out,
        resolutions=["native"],
        trajectories=True,
        report=False,
    )


@pytest.mark.parametrize("form", ["trl", "trl parquet", "sharegpt"])
def test_images_of_conversations_of_others_are_stripped(form: str, original: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(original)
    turns = [{"from": "human", "value": "<image>What?"}, {"from": "gpt", "value": "<answer>42</answer>"}]
    (tmp_path / "data.json").write_text(json.dumps([{"conversations": turns, "images": ["a.jpg"]}]))
    to, _, kept_as = form.partition(" ")
    out = tmp_path / "out"
    assert export(tmp_path / "data.json", out, to=to, origin="sharegpt", form=kept_as or "jsonl").rows == 1
    assert all(b"hunter2" not in file.read_bytes() for file in out.rglob("*") if file.is_file())
    if to == "trl":
        (back,) = import_trl(out)
        assert same_pixels(back.images[0].read(), original)
    else:
        (row,) = json.loads((out / "sharegpt.json").read_text())
        assert same_pixels((out / row["images"][0]).read_bytes(), original)
        assert not row["images"][0].endswith(".jpg") or open_image(out / row["images"][0]).ref.mime_type == "image/jpeg"


def test_a_view_is_written_as_the_policy_saw_it(tmp_path: Path) -> None:
    """Views have no metadata, so their bytes are those that were sent."""
    (tmp_path / "photo.jpg").write_bytes(taken("JPEG"))
    result = ChainOfFocus(scripted(answer("42")), save=tmp_path / "runs").ask(tmp_path / "photo.jpg", "What is it?")
    export(tmp_path / "runs", tmp_path / "out")
    (back,) = import_trl(tmp_path / "out")
    assert [picture.read() for picture in back.images] == [result.store.get(view.image) for view in result.views]
