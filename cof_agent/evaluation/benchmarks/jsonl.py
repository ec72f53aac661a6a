"""Questions of one's own: a JSONL file, one object a line.

Fields: `image` (a path relative to the file, an http(s) address or a data URL), `question`, `answer`, and optionally
`options` (a list of texts; the answer is then a letter or one of them; those that stand in the question as `(A) …` need
no list), `category`, `id`, and `boxes`: where the answer
is to be seen, each `[left, top, right, bottom]` in fractions, 0 to 1, of the upright image's width and height.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cof_agent.dialects.profile import DECLINE
from cof_agent.errors import ConfigError
from cof_agent.evaluation.benchmarks.rows import (
    Row,
    RowError,
    existing,
    image_source,
    json_lines,
    optional_text,
    questions,
    show,
    text_of,
    unreadable,
)
from cof_agent.evaluation.matching.options import LETTERS, with_options
from cof_agent.evaluation.matching.words import same_text
from cof_agent.evaluation.question import BenchmarkItem, BenchmarkQuestion, Role
from cof_agent.images.receiving.regular_file import open_regular

_TRAIN = "train:"
_EXPECTED = 'one JSON object a line, such as {"image": "photo.jpg", "question": "…", "answer": "…"}'


@dataclass(frozen=True, slots=True)
class JsonLines:
    """The questions of a JSONL file."""

    name: str
    path: Path
    role: Role = Role.TEST
    links: bool = True
    """Whether `path` may hold a symbolic link. Not where it was resolved, and checked to lie in some directory."""

    @classmethod
    def open(cls, rest: str, *, links: bool = True) -> JsonLines:
        """`rest`: what follows `jsonl:`, a file, or `train:` and a file of questions to train on.

        Raises ConfigError when the file is missing, no file, empty, or has no line that begins like an object.
        """
        file = rest.removeprefix(_TRAIN)
        path = existing(file)
        if path.is_dir():
            raise ConfigError(f"{path} is a directory: jsonl:FILE needs the file, {_EXPECTED}")
        try:
            with open_regular(path, links=links) as opened:
                head = opened.read(4096).removeprefix(b"\xef\xbb\xbf")
        except OSError as error:
            raise unreadable(path, error) from error
        if not head.strip():
            raise ConfigError(f"{path} is empty: it needs {_EXPECTED}")
        if b"\0" in head or not re.search(rb"^[ \t]*\{", head, re.MULTILINE):
            raise ConfigError(f"{path} is not a JSONL file: it needs {_EXPECTED}")
        return cls(f"jsonl:{rest}", path, Role.TEST if file == rest else Role.TRAIN, links)

    def __iter__(self) -> Iterator[BenchmarkItem]:
        rows = ((where, _numbered(where, row)) for where, row in json_lines(self.path, links=self.links))
        return questions(rows, partial(_question, directory=self.path.absolute().parent))


def _numbered(where: str, row: Row | RowError) -> Row | RowError:
    """The row with the number of its line as its id, where it has none."""
    if isinstance(row, RowError) or row.get("id") not in (None, ""):
        return row
    return {**row, "id": f"line {where.rpartition(' ')[2]}"}


def _question(row: Row, directory: Path) -> BenchmarkQuestion:
    text, answer = text_of(row, "question"), text_of(row, "answer")
    options = _options(row.get("options"))
    if options:
        text, answer = with_options(text, options), _right(answer, options)
    return BenchmarkQuestion(
        id=text_of(row, "id"),
        image=_image(row, directory),
        text=text,
        answer=answer,
        options=options,
        category=optional_text(row, "category", "all"),
        boxes=() if (boxes := row.get("boxes")) is None else boxes,
        box_images=() if (numbers := row.get("box_images")) is None else numbers,
    )


def _image(row: Row, directory: Path) -> str | list[str]:
    """The image of a row, or the list of its images, which stands under `image` or `images`."""
    given = [name for name in ("image", "images") if row.get(name) is not None]
    if len(given) > 1:
        raise RowError("it has both `image` and `images`: name all of its images in one of them")
    field = given[0] if given else "image"
    names = row.get(field)
    if not isinstance(names, list):
        return image_source(text_of(row, field), directory)
    if not names:
        raise RowError(f"`{field}` is an empty list: name an image, or several")
    found = [image_source(text_of({field: name}, field), directory) for name in names]
    return found if len(found) > 1 else found[0]


def _options(value: Any) -> tuple[str, ...]:
    if value is None or value == []:
        return ()
    if not isinstance(value, list) or not 2 <= len(value) <= len(LETTERS):
        raise RowError(f"`options` is {show(value)}: it needs a list of 2 to {len(LETTERS)} texts")
    options = tuple(text_of({"options": option}, "options") for option in value)
    for position, option in enumerate(options):
        if any(same_text(option, other) for other in options[:position]):
            raise RowError(f"two of its options are {show(option)}")
    return options


def _right(answer: str, options: tuple[str, ...]) -> str:
    """The letter of the option that is right, or that none is: `cannot answer`.

    The letter of one may be the text of another: then nobody can tell.
    """
    letter = answer.strip().strip("()").upper()
    by_letter = LETTERS.index(letter) if len(letter) == 1 and letter in LETTERS[: len(options)] else None
    by_text = next((index for index, option in enumerate(options) if same_text(answer, option)), None)
    if answer.strip().startswith("(") and by_letter is not None:
        return letter
    if by_letter is not None and by_text not in (None, by_letter):
        raise RowError(
            f"`answer` is {show(answer)}, a letter and also the text of another option: write the letter as ({letter})"
        )
    index = by_text if by_letter is None else by_letter
    if index is None and answer.lower().startswith(DECLINE):
        return answer
    if index is None:
        raise RowError(f"`answer` is {show(answer)}: it needs the letter of an option, or its text")
    return LETTERS[index]
