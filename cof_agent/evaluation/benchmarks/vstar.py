"""V* Bench (Wu and Xie, 2023, "V*: Guided Visual Search as a Core Mechanism in Multimodal LLMs").

Layout of the dataset craigwu/vstar_bench, as its file list on the Hugging Face hub shows it: `test_questions.jsonl`
and the folders `direct_attributes` and `relative_position` (also `GPT4V-hard` and `OCR`, which the questions file does
not ask about). A question has `image` (a path in the dataset), `text`, `category`, `label` and `question_id`; its
options are lines `(A) …` in the text, which ends with a line that asks for the letter. Beside each image lies a JSON
file of the same stem with `target_object` and `bbox`, one box `[left, top, width, height]` in pixels for each object:
so penghao-wu/vstar reads it (`visual_search.py`, and `vstar_bench_eval.py`, which adds the last two numbers to the
first two). The dataset's own files could not be seen; one `text` was seen in the copy lmms-lab/vstar-bench, as
EvalScope's documentation shows it.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.evaluation.benchmarks.rows import (
    Row,
    RowError,
    corners_as_fractions,
    existing,
    image_file,
    json_lines,
    optional_text,
    questions,
    show,
    text_of,
)
from cof_agent.evaluation.matching.letter import letter_index
from cof_agent.evaluation.matching.options import LETTERS, read_options
from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, Role
from cof_agent.images.codecs.decoding import orientation_of
from cof_agent.images.geometry import Corners
from cof_agent.images.named_file import is_inside
from cof_agent.images.receiving.regular_file import read_regular
from cof_agent.policies.redaction import hide

log = logging.getLogger(__name__)

QUESTIONS = "test_questions.jsonl"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PIXELS = "left, top, width, height in pixels"


@dataclass(frozen=True, slots=True)
class VStar:
    """The questions of a directory in the layout of V* Bench."""

    name: str
    directory: Path
    role: Role = Role.TEST

    @classmethod
    def open(cls, place: str) -> VStar:
        """`place`: a directory, or the id of a dataset on the Hugging Face hub, which is downloaded once (191 images).

        Raises ConfigError when the directory is missing or has no questions file, or the download fails.
        """
        from_hub = not os.path.exists(os.path.expanduser(place)) and _HUB_ID.fullmatch(place)
        directory = _download(place) if from_hub else existing(place)
        if not (directory / QUESTIONS).is_file():
            raise ConfigError(
                f"{directory} has no {QUESTIONS}: vstar needs the directory of a copy of craigwu/vstar_bench, "
                "with that file and the folders of images beside it"
            )
        return cls(f"vstar:{place}", directory)

    def __iter__(self) -> Iterator[BenchmarkItem]:
        return questions(json_lines(self.directory / QUESTIONS), self._question)

    def _question(self, row: Row) -> BenchmarkQuestion:
        text, label = text_of(row, "text"), text_of(row, "label")
        _, options = read_options(text)
        if not options:
            raise RowError("`text` has no options (A) …, (B) …")
        right = letter_index(label, options)
        if right is None:
            raise RowError(f"`label` is {show(label)}, none of its options A to {LETTERS[len(options) - 1]}")
        image = image_file(text_of(row, "image"), self.directory)
        return BenchmarkQuestion(
            id=text_of(row, "question_id"),
            image=image,
            text=text,
            answer=LETTERS[right],
            options=options,
            category=optional_text(row, "category", "all"),
            boxes=_boxes(Path(image), self.directory),
        )


def _boxes(image: Path, root: Path) -> tuple[Corners, ...]:
    """Where the targets are, if the JSON file beside `image` says so. A question can be asked without."""
    path = image.with_suffix(".json")
    try:
        if not is_inside(path, root):
            raise RowError(f"it leads out of {root}")
        record = json.loads(read_regular(path))
        if not isinstance(record, dict) or not record.get("bbox"):
            return ()
        if not isinstance(record["bbox"], list):
            raise RowError(f"`bbox` is {show(record['bbox'])}, not a list of boxes")
        corners = [corners_as_fractions(box, _PIXELS) for box in record["bbox"]]
        with Image.open(image) as opened:  # its header only
            (width, height), orientation = opened.size, orientation_of(opened)
        if orientation != 1:
            raise RowError("its image is stored turned, and boxes may be in either frame")
        boxes = tuple((x / width, y / height, (x + w) / width, (y + h) / height) for x, y, w, h in corners)
        if not all(0 <= x1 < x2 <= 1.001 and 0 <= y1 < y2 <= 1.001 for x1, y1, x2, y2 in boxes):
            raise RowError(f"`bbox` {show(record['bbox'])} leaves the image of {width}x{height} pixels")
        return tuple((x1, y1, min(x2, 1.0), min(y2, 1.0)) for x1, y1, x2, y2 in boxes)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, RecursionError, Image.DecompressionBombError) as error:
        log.warning("the boxes in %s are left out: %s", path, error)
        return ()


def _download(repo_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError.for_extra("eval", f"downloading the dataset {repo_id}") from error
    try:
        return Path(snapshot_download(repo_id, repo_type="dataset"))
    except Exception as error:  # the hub's client raises its own errors, those of its HTTP client and of the system
        why = hide(str(error)).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(
            f"{repo_id} is no directory here, and could not be downloaded as a dataset of the Hugging Face hub "
            f"({type(error).__name__}: {why}): check the path or id and the connection, or download the dataset "
            "yourself and give its directory"
        ) from error
