from __future__ import annotations

import csv
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cof_agent.errors import ConfigError, ImageError, MissingExtraError
from cof_agent.evaluation.benchmarks import open_benchmark
from cof_agent.evaluation.benchmarks.checked import checked
from cof_agent.evaluation.picture import picture
from cof_agent.evaluation.question import BenchmarkQuestion, Readable
from tests.support.evaluation.layouts import HRBENCH_COLUMNS, hrbench_rows, jpeg, split, write_tsv


def write_parquet(path: Path, rows: list[dict[str, object]], **more: object) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path, **more)
    return path


def stored(question: BenchmarkQuestion) -> Readable:
    assert isinstance(question.image, Readable)
    return question.image


@pytest.mark.parametrize("form", ["quoted", "minimal", "parquet", "parquet in groups"])
def test_hrbench_as_it_is_published(form: str, tmp_path: Path) -> None:
    rows = hrbench_rows()
    if form.startswith("parquet"):
        path = write_parquet(tmp_path / "hr_bench_4k.parquet", rows, row_group_size=3 if "groups" in form else None)
    else:
        quoting = csv.QUOTE_ALL if form == "quoted" else csv.QUOTE_MINIMAL
        path = write_tsv(tmp_path / "hr_bench_4k.tsv", rows, quoting)
    for place in (path, tmp_path):
        questions, malformed = split(list(open_benchmark(f"hrbench:{place}")))
        assert not malformed
        assert [question.id for question in questions] == [f"{number} cycle {number % 4}" for number in range(8)]
        assert [question.category for question in questions] == ["FSP"] * 4 + ["FCP"] * 4
        first = questions[0]
        assert (
            first.text
            == 'What is the colour of the "bus"?\nLook closely.\n(A) red\n(B) blue\tgreen\n(C) grey\n(D) black'
        )
        assert [question.answer for question in questions[:4]] == ["A", "D", "C", "B"]
        assert {question.options[question.answer.encode()[0] - 65] for question in questions[:4]} == {"red"}
        for number, question in enumerate(questions):
            assert stored(question).read() == jpeg(64 + number // 4, 48)
        made = picture(first.image, 32)
        assert made is not None
        assert made.size == (32, 24)


@pytest.mark.parametrize("form", ["tsv", "parquet"])
def test_images_can_be_read_in_any_order_by_many(form: str, tmp_path: Path) -> None:
    rows = [row | {"index": at} for at, row in enumerate(hrbench_rows() * 8)]
    write = write_tsv if form == "tsv" else write_parquet
    questions = split(list(open_benchmark(f"hrbench:{write(tmp_path / f'bench.{form}', rows)}")))[0]  # type: ignore[operator]
    assert len(questions) == 64
    order = [*range(63, -1, -7), 5, 40, 41, 39, 0, 63]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda at: stored(questions[at]).read(), order))
    assert found == [jpeg(64 + at // 4 % 2, 48) for at in order]


def test_odd_rows_of_a_tsv_do_not_stop_the_rest(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "bench.tsv", hrbench_rows()[:1])
    header, good = path.read_bytes().partition(b"\n")[::2]
    image = hrbench_rows()[0]["image"].encode()
    plain = b"\t".join([b"%d", b"What?", b"A", b"single", b"one", b"two", b"", b"", b"0", image])
    lines = [
        header, good.rstrip(b"\n"), plain % 10, b"too\tfew", plain.replace(b"\tA\t", b"\tE\t") % 11, b"",
        (plain % 12).replace(image, b""), (plain % 13).replace(image, b"no base64 at all, but quite long: " * 3),
        (plain % 14).replace(b"What?", b"\xff"), (plain % 15).replace(b"What?", b'"not closed'), plain % 16, plain % 10,
        (plain % 17).replace(b"two", b""), plain % 18,
    ]  # fmt: skip
    path.write_bytes(b"\n".join(lines))
    questions, malformed = split(list(checked(open_benchmark(f"hrbench:{path}"))))
    assert [question.id.partition(" ")[0] for question in questions] == ["0", "10", "16", "18"]
    assert all(stored(question).read() == jpeg() for question in questions)
    assert questions[1].options == ("one", "two")
    why = {row.where.removeprefix("bench.tsv line "): row.why for row in malformed}
    # The first row takes two lines, for its question has a line break.
    assert list(why) == ["5", "6", "8", "9", "10", "11", "13", "14"]
    assert "2 fields" in why["5"]
    assert "'E', none of A to B" in why["6"]
    assert why["8"] == "`image` is missing"
    assert "not base64" in why["9"]
    assert "UTF-8" in why["10"]
    assert "quote" in why["11"]
    assert "bench.tsv line 4" in why["13"]
    assert "fewer than two options" in why["14"]


def test_an_image_that_breaks_off_is_an_image_error_when_it_is_asked_about(tmp_path: Path) -> None:
    rows = hrbench_rows()[:1]
    rows[0]["image"] = rows[0]["image"][:200] + "!" + rows[0]["image"][200:]
    for path in (write_tsv(tmp_path / "bench.tsv", rows), write_parquet(tmp_path / "bench.parquet", rows)):
        (question,) = split(list(open_benchmark(f"hrbench:{path}")))[0]
        with pytest.raises(ImageError, match=r"bench\."):
            picture(question.image, 32)
    path.unlink()
    with pytest.raises(ImageError, match=r"bench\.parquet"):
        picture(question.image, 32)


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    rows = hrbench_rows()
    path = tmp_path / "bench.tsv"
    path.write_text("index\tquestion\tA\tB\n1\tWhat?\tone\ttwo\n")
    with pytest.raises(ConfigError, match="lacks the columns answer, image"):
        open_benchmark(f"hrbench:{path}")
    short = [{name: row[name] for name in HRBENCH_COLUMNS if name not in ("answer", "image")} for row in rows]
    with pytest.raises(ConfigError, match="lacks the columns answer, image"):
        open_benchmark(f"hrbench:{write_parquet(tmp_path / 'bench.parquet', short)}")


def test_a_directory_with_several_files_asks_for_one(tmp_path: Path) -> None:
    for size in ("4k", "8k"):
        write_tsv(tmp_path / f"hr_bench_{size}.tsv", hrbench_rows()[:1])
    with pytest.raises(ConfigError, match=r"2 such files \(hr_bench_4k.tsv, hr_bench_8k.tsv\)"):
        open_benchmark(f"hrbench:{tmp_path}")


def test_what_is_neither_tsv_nor_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text("{}")
    (tmp_path / "bench.parquet").write_text("no parquet")
    with pytest.raises(ConfigError, match="neither TSV nor parquet"):
        open_benchmark(f"hrbench:{tmp_path / 'bench.json'}")
    pytest.importorskip("pyarrow")
    with pytest.raises(ConfigError, match="cannot be read as parquet"):
        open_benchmark(f"hrbench:{tmp_path / 'bench.parquet'}")


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "bench.parquet", hrbench_rows())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "cof-agent\[eval\]"'):
        open_benchmark(f"hrbench:{path}")
