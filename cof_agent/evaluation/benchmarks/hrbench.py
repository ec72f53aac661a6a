"""HR-Bench (Wang and others, 2024, "Divide, Conquer and Combine").

The dataset DreamMr/HR-Bench holds `hr_bench_4k.tsv`, `hr_bench_8k.tsv` (1.9 and 4.6 GB) and the same as `.parquet` (0.4
and 2.8 GB), as its file list on the Hugging Face hub shows. Columns (the copy ohjoonhee/HR-Bench lists them for its 800
rows each): `index`, `question`, `answer` (a letter), `category` (`single` or `cross`), `A` to `D`, `cycle_category` and
`image` (base64; so also DreamMr/HR-Bench, `hrbench/vlmeval/dataset/utils/hrbench.py`, uses them). 200 questions stand
four times, their options in each cyclic order: these are 800 questions here. The files themselves could not be seen.
From a TSV one image at a time is held; the images of a parquet file stand in one page, which pyarrow takes in whole
(twice the file's size in memory, and the file itself mapped).
`single` is reported as FSP and `cross` as FCP, as the paper names them (README.md of DreamMr/HR-Bench).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks.parquet import parquet_rows
from cof_agent.evaluation.benchmarks.rows import Row, RowError, existing, optional_text, questions, show, text_of
from cof_agent.evaluation.benchmarks.tsv import TsvField, tsv_rows
from cof_agent.evaluation.matching.options import LETTERS, with_options
from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, Readable, Role

_REQUIRED = ("index", "question", "answer", "A", "B", "image")
_CATEGORIES: Mapping[str, str] = {"single": "FSP", "cross": "FCP"}
_EXPECTED = "hr_bench_4k or hr_bench_8k of DreamMr/HR-Bench, as .tsv or .parquet"


@dataclass(frozen=True, slots=True)
class HrBench:
    """The questions of a file of HR-Bench. Images stay in the file until they are asked about."""

    name: str
    path: Path
    role: Role = Role.TEST

    @classmethod
    def open(cls, place: str) -> HrBench:
        """`place`: a TSV or parquet file, or a directory with just one of them.

        Raises ConfigError when it is missing or lacks a column, MissingExtraError for parquet without pyarrow.
        """
        path = existing(place)
        if path.is_dir():
            found = sorted(file for kind in ("*.tsv", "*.parquet") for file in path.glob(kind))
            if len(found) != 1:
                has = f"{len(found)} such files ({', '.join(file.name for file in found)})" if found else "none"
                raise ConfigError(f"hrbench needs one file, {_EXPECTED}, and {path} has {has}: name the file")
            path = found[0]
        if path.suffix not in (".tsv", ".parquet"):
            raise ConfigError(f"{path} is neither TSV nor parquet: hrbench needs {_EXPECTED}")
        benchmark = cls(f"hrbench:{place}", path)
        next(benchmark._rows(), None)  # its header is read
        return benchmark

    def __iter__(self) -> Iterator[BenchmarkItem]:
        return questions(self._rows(), _question)

    def _rows(self) -> Iterator[tuple[str, Row | RowError]]:
        read = tsv_rows if self.path.suffix == ".tsv" else parquet_rows
        return read(self.path, _REQUIRED, "image")


def _question(row: Row) -> BenchmarkQuestion:
    options = _options(row)
    answer = text_of(row, "answer").strip().strip("().")
    if len(answer) != 1 or answer not in LETTERS[: len(options)]:
        raise RowError(f"`answer` is {show(answer)}, none of A to {LETTERS[len(options) - 1]}")
    category, cycle = optional_text(row, "category", "all"), optional_text(row, "cycle_category", "")
    number = text_of(row, "index")
    return BenchmarkQuestion(
        id=f"{number} cycle {cycle}" if cycle else number,
        image=_image(row["image"]),
        text=with_options(text_of(row, "question"), options),
        answer=answer,
        options=options,
        category=_CATEGORIES.get(category.strip().lower(), category),
    )


def _options(row: Row) -> tuple[str, ...]:
    """What stands under A, B, … up to the first empty one."""
    options: list[str] = []
    for letter in LETTERS:
        if not optional_text(row, letter, ""):
            break
        options.append(text_of(row, letter).strip())
    if len(options) < 2:
        raise RowError("it has fewer than two options: A and B are needed")
    return tuple(options)


def _image(value: object) -> Readable:
    if isinstance(value, TsvField):
        head = value.head(64)
        try:
            base64.b64decode(head[: len(head) // 4 * 4], validate=True)
        except (binascii.Error, ValueError):
            head = b""
        if len(head) < 16:
            raise RowError("`image` is missing" if not value.length else "`image` is not base64 of an image")
    assert isinstance(value, Readable)
    return value
