"""MME-RealWorld-Lite (Zhang and others, 2024, "MME-RealWorld: Could Your Multimodal LLM Challenge High-Resolution
Real-World Scenarios that are Difficult for Humans?").

The dataset yifanzhang114/MME-RealWorld-Lite is one `data.zip`, "with the question format identical to the full split"
(its README, seen in WhuanY/vprm, `MME-RealWorld-Lite/README.md`). Rows were seen there, in
`MME-RealWorld-Lite/MME-RealWorld-Lite_new.json` (the authors' rows with one field more), and in the authors'
yfzhang114/MME-RealWorld, `evaluation/output_test_template.json`: a JSON list of objects with `Question_id`, `Image`,
`Text`, `Question Type` (also written `Question type`), `Answer choices` (five texts `(A) …` to `(E) …`, the last of
which says that the image does not show it), `Ground truth` (a letter), `Category`, `Subtask` and `Task`. Unpacked, the
JSON file stands as `data/MME-RealWorld-Lite.json` and the images in `data/imgs` (so WhuanY/vprm takes them). The
archive itself could not be seen, so images are also looked for beside the JSON file and in `images`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks.rows import (
    Row,
    RowError,
    existing,
    image_file,
    optional_text,
    questions,
    show,
    text_of,
    unreadable,
)
from cof_agent.evaluation.matching.options import LETTERS, with_options
from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, Role

_NAMES = ("MME-RealWorld-Lite.json", "MME_RealWorld_Lite.json")
_FOLDERS = ("", "imgs", "images", "data/imgs", "data/images")
_MARK = re.compile(r"\s*[(\[]?([A-Z])[)\].:]\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MmeRealWorldLite:
    """The questions of MME-RealWorld-Lite, or of another file in the format of MME-RealWorld."""

    name: str
    path: Path
    role: Role = Role.TEST

    @classmethod
    def open(cls, place: str) -> MmeRealWorldLite:
        """`place`: the JSON file, or the directory to which the archive was unpacked.

        Raises ConfigError when it is missing or holds no such list.
        """
        path = existing(place)
        if path.is_dir():
            found = [path / folder / name for folder in ("", "data") for name in _NAMES]
            path = next((file for file in found if file.is_file()), path)
        if path.is_dir():
            raise ConfigError(
                f"{path} has no {_NAMES[0]}: mme-realworld-lite needs that file, or the directory to which "
                "data.zip of yifanzhang114/MME-RealWorld-Lite was unpacked"
            )
        _rows(path)
        return cls(f"mme-realworld-lite:{place}", path)

    def __iter__(self) -> Iterator[BenchmarkItem]:
        rows = (
            (f"{self.path.name} row {number}", _object(row)) for number, row in enumerate(_rows(self.path), start=1)
        )
        return questions(rows, self._question)

    def _question(self, row: Row) -> BenchmarkQuestion:
        options = _options(row.get("Answer choices"))
        truth = text_of(row, "Ground truth").strip().strip("().")
        if len(truth) != 1 or truth not in LETTERS[: len(options)]:
            raise RowError(f"`Ground truth` is {show(truth)}, none of A to {LETTERS[len(options) - 1]}")
        beside = self.path.absolute().parent
        return BenchmarkQuestion(
            id=text_of(row, "Question_id"),
            image=image_file(text_of(row, "Image"), beside, _FOLDERS),
            text=with_options(text_of(row, "Text"), options),
            answer=truth,
            options=options,
            category=f"{optional_text(row, 'Task', 'all')}: {optional_text(row, 'Subtask', 'all')}",
        )


def _object(row: object) -> Row | RowError:
    return row if isinstance(row, dict) else RowError(f"it is {show(row)}, not an object")


def _rows(path: Path) -> list[Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}): give the JSON file of MME-RealWorld-Lite") from error
    if not isinstance(value, list) or not any(isinstance(row, dict) and "Answer choices" in row for row in value):
        raise ConfigError(
            f"{path} is in another layout: mme-realworld-lite needs a JSON list of objects with Question_id, Image, "
            "Text, Answer choices and Ground truth"
        )
    return value


def _options(value: Any) -> tuple[str, ...]:
    """The texts of the choices, without the `(A)` before them."""
    if not isinstance(value, list) or not 2 <= len(value) <= len(LETTERS):
        raise RowError(f"`Answer choices` is {show(value)}: it needs a list of texts")
    choices = [text_of({"Answer choices": choice}, "Answer choices") for choice in value]
    marks = [_MARK.fullmatch(choice) for choice in choices]
    if all(mark and mark[1] == letter for mark, letter in zip(marks, LETTERS, strict=False)):
        choices = [mark[2].strip() for mark in marks if mark]
    if not all(choices):
        raise RowError(f"`Answer choices` is {show(value)}: one of them is empty")
    return tuple(choices)
