"""Scenes as files in the layout of V* Bench, so that what reads that benchmark reads them.

The layout is that of craigwu/vstar_bench (Wu and Xie, 2023): `test_questions.jsonl`, whose lines have `image` (a path
in the directory), `text` (with options `(A) …`), `category`, `label` (the letter) and `question_id`; and the folders
`direct_attributes` and `relative_position` with an image and a JSON file of the same stem each. The latter has
`target_object`, `bbox` (left, top, width, height in pixels, for each object), `question` and `options`, of which the
first is right: so `vstar_bench_eval.py` and `visual_search.py` of penghao-wu/vstar read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count as count_from
from itertools import islice
from pathlib import Path
from typing import Any

from cof_agent.errors import ConfigError
from cof_agent.files import atomic_write, json_line, locked, parse_json
from cof_agent.images.opening import open_image
from cof_agent.scenes.question import SceneQuestion, scene_question
from cof_agent.scenes.render import render
from cof_agent.scenes.scene import MAX_SIDE
from cof_agent.scenes.split import Split

QUESTIONS = "test_questions.jsonl"
FOLDERS = ("direct_attributes", "relative_position")
SETTINGS = "scenes.json"
"""What the directory was made with: a command that was interrupted goes on only where this is the same."""

MAX_COUNT = 100_000


def write_vstar(
    directory: str | Path,
    count: int,
    resolution: int,
    split: Split = Split.TEST,
    photo: str | Path | None = None,
    *,
    seed_start: int = 0,
    on_row: Callable[[], object] = lambda: None,
) -> Path:
    """Write the first `count` multiple-choice questions of a split, from its scene `seed_start` on.

    Each scene is drawn at `resolution` pixels on its longer side and saved as PNG. `photo` lies behind all of them in
    place of their own backgrounds. `on_row` is called after each question. Returns the path of the questions file,
    which is written last.

    The same call goes on where an interrupted one stopped: images that are there are kept. Raises ConfigError, before
    anything is written, for a count out of 1 to 100,000, a resolution out of 1 to 3840, a scene that the split does
    not have, or a directory that holds anything else; later on when a file cannot be written or the split ends;
    ImageError for a photo that cannot be read.
    """
    directory = Path(directory)
    if not 1 <= count <= MAX_COUNT:
        raise ConfigError(f"1 to {MAX_COUNT:,} questions can be written, not {count}")
    if not 1 <= resolution <= MAX_SIDE:
        raise ConfigError(f"a scene's longer side can be 1 to {MAX_SIDE} pixels, not {resolution}")
    split.seed(seed_start)
    settings = {
        "count": count,
        "resolution": resolution,
        "split": str(split),
        "seed_start": seed_start,
        "photo": open_image(photo).ref.sha256 if photo is not None else None,
    }
    behind = None if photo is None else str(photo)
    try:
        if directory.exists() and not directory.is_dir():
            raise ConfigError(f"{directory} is a file: name a directory, new or empty, for the scenes")
        directory.mkdir(parents=True, exist_ok=True)
        with locked(directory, f"drawing {count} scenes"):
            _prepare(directory, settings)
            rows = []
            for number, question in enumerate(islice(_multiple_choice(split, seed_start, behind), count)):
                rows.append(_write_row(directory, number, question, resolution))
                on_row()
            with atomic_write(directory / QUESTIONS, private=False) as file:
                file.writelines(map(json_line, rows))
    except OSError as error:
        raise ConfigError(
            f"cannot write scenes to {directory} ({error.strerror or error}): make room there, or choose another "
            "directory; what is written is kept"
        ) from error
    return directory / QUESTIONS


def _multiple_choice(split: Split, start: int, photo: str | None) -> Iterator[SceneQuestion]:
    for number in count_from(start):
        question = scene_question(split, number, photo=photo)
        if question.options:
            yield question


def _write_row(directory: Path, number: int, question: SceneQuestion, resolution: int) -> dict[str, Any]:
    """Write the image and its annotation. Returns the question's line."""
    size = question.scene.size(resolution)
    path = Path(question.category) / f"{question.id}.png"
    if not (directory / path).exists():
        with atomic_write(directory / path, private=False) as file:
            render(question.scene, size).save(file, "PNG", compress_level=1)
    boxes = [(x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1]) for x1, y1, x2, y2 in question.boxes]
    annotation = {
        "target_object": [str(name) for name in question.names],
        "bbox": [[round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)] for x1, y1, x2, y2 in boxes],
        "question": question.text.partition("\n")[0],
        "options": [question.value, *(option for option in question.options if option != question.value)],
    }
    with atomic_write((directory / path).with_suffix(".json"), private=False) as file:
        file.write(json_line(annotation))
    return {
        "image": path.as_posix(),
        "text": question.text,
        "category": question.category,
        "label": question.answer,
        "question_id": number,
    }


def _prepare(directory: Path, settings: dict[str, Any]) -> None:
    """Make the folders, or find those of a command with the same settings. Raises ConfigError for anything else."""
    there = [path for path in directory.iterdir() if not path.name.startswith(".")]
    if any(path.name not in FOLDERS for path in there):
        _compare(directory, settings)
    elif any(any(path.iterdir()) for path in there if path.is_dir()):
        raise _foreign(directory)
    for name in FOLDERS:
        (directory / name).mkdir(parents=True, exist_ok=True)
    with atomic_write(directory / SETTINGS, private=False) as file:
        file.write(json_line(settings))


def _compare(directory: Path, settings: dict[str, Any]) -> None:
    before: Any = None
    with suppress(OSError, ValueError):
        before = parse_json((directory / SETTINGS).read_bytes())
    if not isinstance(before, dict):
        raise _foreign(directory)
    for name, value in settings.items():
        if before.get(name) != value:
            raise ConfigError(
                f"{directory} holds scenes made with {name} {before.get(name)}, not {value}: repeat that command to "
                "go on with it, delete the directory, or choose another"
            )


def _foreign(directory: Path) -> ConfigError:
    return ConfigError(f"{directory} holds something other than scenes: name a directory that is new or empty")
