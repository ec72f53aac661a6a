"""Scenes written for what reads V* Bench."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from cof_agent.cli.scenes import scenes
from cof_agent.errors import ConfigError, ImageError
from cof_agent.scenes.question import scene_question
from cof_agent.scenes.render import render
from cof_agent.scenes.split import Split
from cof_agent.scenes.vstar_layout import QUESTIONS, write_vstar

pytestmark = pytest.mark.slow

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(scenes)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_rows_are_the_multiple_choice_questions_of_the_split(tmp_path: Path) -> None:
    rows = lines(write_vstar(tmp_path, 12, 96))
    questions = [scene_question(Split.TEST, number) for number in range(60)]
    asked = [question for question in questions if question.options][:12]
    assert [row["text"] for row in rows] == [question.text for question in asked]
    assert [row["label"] for row in rows] == [question.answer for question in asked]
    assert [row["question_id"] for row in rows] == list(range(12))
    assert {row["category"] for row in rows} == {"direct_attributes", "relative_position"}
    for row, question in zip(rows, asked, strict=True):
        assert set(row) == {"image", "text", "category", "label", "question_id"}
        assert str(row["image"]).startswith(f"{row['category']}/")
        with Image.open(tmp_path / str(row["image"])) as image:
            assert image.format == "PNG"
            assert image.tobytes() == render(question.scene, question.scene.size(96)).tobytes()


def test_annotations_give_boxes_in_pixels_and_the_right_option_first(tmp_path: Path) -> None:
    rows = lines(write_vstar(tmp_path, 10, 500))
    asked = [q for q in (scene_question(Split.TEST, number) for number in range(60)) if q.options]
    for row, question in zip(rows, asked, strict=False):
        note = json.loads((tmp_path / str(row["image"])).with_suffix(".json").read_text(encoding="utf-8"))
        assert set(note) == {"target_object", "bbox", "question", "options"}
        assert note["options"][0] == question.value
        assert sorted(note["options"]) == sorted(question.options)
        assert note["question"] == question.text.splitlines()[0]
        scale = 500 / max(question.scene.width, question.scene.height)
        for (x, y, width, height), index in zip(note["bbox"], question.targets, strict=True):
            thing = question.scene.objects[index]
            assert (x + width / 2, y + height / 2) == pytest.approx((thing.x * scale, thing.y * scale), abs=1)
            assert (width, height) == pytest.approx((thing.size * scale, thing.size * scale), abs=0.5)
        assert all(str(name) in note["target_object"] for name in question.names)


@pytest.mark.parametrize("stop_after", [1, 4, 6])
def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path: Path, stop_after: int) -> None:
    write_vstar(tmp_path / "whole", 6, 64)
    done = 0

    def interrupt() -> None:
        nonlocal done
        done += 1
        if done == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_vstar(tmp_path / "cut", 6, 64, on_row=interrupt)
    assert not (tmp_path / "cut" / QUESTIONS).exists()
    missing = [path for path in contents(tmp_path / "whole") if path not in contents(tmp_path / "cut")]
    for path in missing:  # as a process that dies leaves them
        (tmp_path / "cut" / path).with_name(f".{Path(path).name}.part").write_bytes(b"torn")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut").rglob("*.png")}
    assert len(kept) == stop_after
    write_vstar(tmp_path / "cut", 6, 64)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_other_settings_and_other_content_are_refused_and_left_alone(tmp_path: Path) -> None:
    write_vstar(tmp_path / "made", 2, 64)
    before = contents(tmp_path / "made")
    for change, said in (
        ({"count": 3}, "count 2, not 3"),
        ({"resolution": 65}, "resolution 64, not 65"),
        ({"split": Split.VALIDATION}, "split test, not validation"),
        ({"seed_start": 5}, "seed_start 0, not 5"),
    ):
        with pytest.raises(ConfigError, match=said):
            write_vstar(tmp_path / "made", **{"count": 2, "resolution": 64, **change})  # type: ignore[arg-type]
    assert contents(tmp_path / "made") == before
    for name in ("letter.txt", "direct_attributes/mine.png"):
        other = tmp_path / name.partition(".")[0].replace("/", "_")
        (other / name).parent.mkdir(parents=True)
        (other / name).write_text("dear", encoding="utf-8")
        with pytest.raises(ConfigError, match="something other than scenes"):
            write_vstar(other, 2, 64)
        assert contents(other) == {name: b"dear"}
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="is a file"):
        write_vstar(tmp_path / "file", 2, 64)


@pytest.mark.parametrize(
    ("count", "resolution", "start", "said"),
    [
        (0, 64, 0, "1 to 100,000 questions"),
        (100_001, 64, 0, "not 100001"),
        (1, 0, 0, "1 to 3840 pixels, not 0"),
        (1, 3841, 0, "1 to 3840 pixels, not 3841"),
        (1, 64, -1, "no scene -1"),
        (1, 64, 1_000_000, "no scene 1000000"),
    ],
)
def test_what_is_out_of_range_is_refused_before_anything_is_written(
    tmp_path: Path, count: int, resolution: int, start: int, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        write_vstar(tmp_path / "new", count, resolution, seed_start=start)
    assert not (tmp_path / "new").exists()


def test_a_split_that_ends_is_said_and_what_is_written_stays(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no scene 1000000"):
        write_vstar(tmp_path, 20, 32, seed_start=999_990)
    assert len(list(tmp_path.rglob("*.png"))) > 0
    assert not (tmp_path / QUESTIONS).exists()


def test_a_photo_lies_behind_every_scene(tmp_path: Path) -> None:
    photo = tmp_path / "wall.png"
    Image.new("RGB", (64, 48), (10, 200, 30)).save(photo)
    rows = lines(write_vstar(tmp_path / "out", 3, 80, photo=photo))
    for row in rows:
        with Image.open(tmp_path / "out" / str(row["image"])) as image:
            assert image.getpixel((0, 0)) == (10, 200, 30)
    with pytest.raises(ConfigError, match="made with photo"):
        write_vstar(tmp_path / "out", 3, 80)
    with pytest.raises(ImageError, match="nothing"):
        write_vstar(tmp_path / "new", 3, 80, photo=tmp_path / "nothing.png")
    assert not (tmp_path / "new").exists()


def test_the_command_says_what_it_wrote_and_what_was_wrong(tmp_path: Path) -> None:
    target = str(tmp_path / "out")
    made = CliRunner().invoke(app, [target, "--count", "3", "--resolution", "64", "--split", "validation"])
    assert (made.exit_code, made.stdout) == (0, f"3 questions in {tmp_path / 'out' / QUESTIONS}\n")
    assert all("scene-1000" in str(row["image"]) for row in lines(tmp_path / "out" / QUESTIONS))
    other = CliRunner().invoke(app, [target, "--count", "3", "--resolution", "65"])
    assert (other.exit_code, other.stdout) == (2, "")
    assert other.stderr.startswith("cof-agent: ")
    assert "resolution 64, not 65" in other.stderr.replace("\n", " ")
    assert CliRunner().invoke(app, [target, "--count", "1", "--resolution", "9999"]).exit_code == 2
    assert CliRunner().invoke(app, [target, "--count", "1", "--resolution", "9", "--photo", "no.png"]).exit_code == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "wall").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot write scenes"):
        write_vstar(tmp_path / "wall" / "inner", 1, 32)
