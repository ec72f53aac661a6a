"""The command `export`, and what it leaves on disk."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from cof_agent.cli.export import export_command
from cof_agent.errors import ConfigError, TrajectoryError
from cof_agent.learning.exports.conversation import Conversation, Facts, Message, Picture
from cof_agent.learning.exports.exporting import export
from cof_agent.learning.exports.files import LineFile, TableFile, fresh_directory
from cof_agent.learning.exports.trl import CONVERSATIONS, import_trl, row_of
from tests.support.conversations import answer, photo, zoom
from tests.support.learning.spoken import NEITHER, content, run

pytestmark = pytest.mark.slow


def command(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(export_command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for number in range(3):
        run(tmp_path / "runs", [zoom(0, 0, 50 + number, 50), answer(str(number))], image=photo(112, 112))
    return tmp_path / "runs"


@pytest.mark.parametrize("options", [[], ["--format", "parquet"], ["--to", "sharegpt"]], ids=str)
def test_it_says_what_it_wrote_and_the_same_source_gives_the_same_files(options: list[str], runs: Path) -> None:
    for name in ("one", "two"):
        done = command(runs, "--out", runs.parent / name, *options)
        assert (done.exit_code, done.stdout) == (0, f"3 rows in {runs.parent / name}\n")
    assert content(runs.parent / "one") == content(runs.parent / "two") != {}
    assert sorted(path.name for path in runs.parent.iterdir()) == ["one", "runs", "two"]


def test_images_are_kept_once_under_the_hash_of_their_bytes(runs: Path) -> None:
    command(runs, "--out", runs.parent / "out")
    files = content(runs.parent / "out")
    assert files.pop("metadata.jsonl")
    assert len(files) == 1 + 3  # one overview, three regions
    assert {name.removeprefix("images/").partition(".")[0] for name in files} == set(files.values())


def test_rows_left_out_are_told_on_standard_error(runs: Path) -> None:
    for _ in range(7):
        run(runs, [NEITHER] * 9, image=photo(112, 112))
    done = command(runs, "--out", runs.parent / "out")
    assert done.exit_code == 0
    assert done.stdout == f"3 rows in {runs.parent / 'out'}\n"
    assert done.stderr.count("it ended without an answer") == 5
    assert "left out 7 in all" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--to", "xml"], 2, "there is no 'xml' here: choose one of trl, trl-grpo, verl, sharegpt"),
        (["--from", "csv"], 2, "there is no 'csv' here: choose one of trajectories, trl, sharegpt"),
        (["--format", "csv"], 2, "choose one of jsonl, parquet"),
        (["--to", "sharegpt", "--format", "parquet"], 2, "leave --format parquet out"),
        (["--from", "sharegpt", "--to", "trl-grpo"], 2, "are made from trajectories, not from sharegpt"),
        (["--from", "sharegpt"], 2, "has no dataset_info.json that names one file of rows"),
        (["--from", "trl", "--to", "trl-grpo"], 2, "has neither metadata.jsonl nor train.parquet"),
        (["--images", "."], 2, "belongs to rows of sharegpt"),
        (["--from", "trl"], 2, "has neither metadata.jsonl nor train.parquet"),
        (["--profile", "none.json"], 2, "profile none.json cannot be read"),
        (["--to", "trl-grpo"], 1, "has nothing to export: 3 rows cannot be used; the first: "),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    arguments: list[str], code: int, why: str, runs: Path
) -> None:
    done = command(runs, "--out", runs.parent / "out", *arguments)
    assert done.exit_code == code
    assert why in done.stderr
    assert [path.name for path in runs.parent.iterdir()] == ["runs"]


def test_a_directory_without_trajectories_is_named(tmp_path: Path) -> None:
    done = command(tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert f"{tmp_path} has no trajectories.jsonl" in done.stderr


def test_a_directory_with_anything_in_it_is_left_alone(runs: Path) -> None:
    out = runs.parent / "out"
    out.mkdir()
    assert command(runs, "--out", out).exit_code == 0  # an empty one will do
    before = content(out)
    for _ in range(2):
        done = command(runs, "--out", out)
        assert done.exit_code == 2
        assert "is not an empty directory" in done.stderr
        assert content(out) == before
        (out / ".hidden").write_text("mine")
        before = content(out)
    (runs.parent / "file").write_text("mine")
    assert command(runs, "--out", runs.parent / "file").exit_code == 2
    assert (runs.parent / "file").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named(runs: Path) -> None:
    (runs.parent / "file").write_text("")
    done = command(runs, "--out", runs.parent / "file" / "out")
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr


def pixel(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (1, 1), number).save(buffer, "PNG")
    return buffer.getvalue()


def conversation(number: int) -> Conversation:
    said = (Message("user", (Picture(pixel(number), ".png"), f"{number}?")), Message("assistant", (str(number),)))
    return Conversation(said, Facts(id=str(number)))


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_an_interrupt_leaves_nothing(form: str, tmp_path: Path) -> None:
    def interrupted() -> Iterator[Conversation]:
        yield from map(conversation, range(40))
        raise KeyboardInterrupt

    def write(out: Path) -> None:
        with fresh_directory(out) as directory:
            rows = LineFile(directory) if form == "jsonl" else TableFile(directory, CONVERSATIONS, ["images"])
            with rows:
                for one in interrupted():
                    assert not out.exists()
                    rows.add(row_of(one), {"images": one.images})

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_no_export_and_is_cleared_away(runs: Path) -> None:
    left = runs.parent / ".out.part"
    (left / "images").mkdir(parents=True)
    (left / "metadata.jsonl").write_text('{"half')
    with pytest.raises(ConfigError):
        list(import_trl(runs.parent / "out"))
    export(runs, runs.parent / "out")
    assert sorted(path.name for path in runs.parent.iterdir()) == ["out", "runs"]
    assert len(list(import_trl(runs.parent / "out"))) == 3


def test_a_parquet_file_of_many_rows_keeps_their_order_and_images(tmp_path: Path) -> None:
    with TableFile(tmp_path, CONVERSATIONS, ["images"]) as rows:
        for one in map(conversation, range(70)):
            rows.add(row_of(one), {"images": one.images})
    back = list(import_trl(tmp_path))
    assert [row.facts.id for row in back] == [str(number) for number in range(70)]
    assert [row.images[0].read() for row in back] == [pixel(number) for number in range(70)]


@pytest.mark.parametrize("image", ["../private.png", "/private.png", "images/link.png", "linked/private.png"])
def test_rows_that_name_an_image_elsewhere_are_refused(image: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    with LineFile(rows_in(rows)) as lines:
        lines.add(row_of(conversation(1)), {"images": conversation(1).images})
    (tmp_path / "private.png").write_bytes(pixel(7))
    (rows / "images" / "link.png").symlink_to(tmp_path / "private.png")
    (rows / "linked").symlink_to(tmp_path)
    row = json.loads((rows / "metadata.jsonl").read_text())
    (rows / "metadata.jsonl").write_text(json.dumps(row | {"images_file_names": [image]}) + "\n")
    with pytest.raises(TrajectoryError, match="outside of its directory"):
        list(import_trl(rows))


def rows_in(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_a_table_that_names_an_image_in_place_of_holding_it_is_refused(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    with TableFile(tmp_path, CONVERSATIONS, ["images"]) as rows:
        rows.add(row_of(conversation(1)), {"images": conversation(1).images})
    table = parquet.read_table(tmp_path / "train.parquet")
    held = [{"bytes": None, "path": "/etc/passwd"}]
    column = table.schema.get_field_index("images")
    field = table.schema.field(column)
    changed = table.set_column(column, field, arrow.array([held], field.type))
    parquet.write_table(changed, tmp_path / "train.parquet")
    with pytest.raises(TrajectoryError, match="without its bytes, only the name '/etc/passwd'"):
        list(import_trl(tmp_path))


def test_images_of_trajectories_that_are_links_elsewhere_are_left_out(runs: Path) -> None:
    for file in list((runs / "images").iterdir()):
        file.rename(runs.parent / file.name)
        file.symlink_to(runs.parent / file.name)
    with pytest.raises(TrajectoryError, match="is not among the images beside it"):
        export(runs, runs.parent / "out")


def test_half_of_a_surrogate_pair_does_not_stop_an_export(tmp_path: Path) -> None:
    odd = Conversation((Message("user", ("a\ud800b",)), Message("assistant", ("c",))), Facts(id="odd"))
    with LineFile(tmp_path) as lines:
        lines.add(row_of(odd), {"images": ()})
    with TableFile(tmp_path, CONVERSATIONS, ["images"]) as rows:
        rows.add(row_of(odd), {"images": ()})
    assert [row.messages[0].text for row in import_trl(tmp_path / "metadata.jsonl")] == ["a\ud800b"]
    assert [row.messages[0].text for row in import_trl(tmp_path / "train.parquet")] == ["a?b"]
