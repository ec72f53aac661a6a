"""What is learnt at a step is the same whoever makes it ready."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from cof_agent.dialects import load_profile
from cof_agent.policies.qwen.processor import load_processor
from tests.support.training.seeds import write_smallest
from training.tiny_pretrain.lessons import Lesson, Lessons, on
from training.tiny_pretrain.settings import PretrainSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smallest(tmp_path_factory.mktemp("seeds") / "smallest")


def lessons(folder: Path, **changes: Any) -> Lessons:
    asked = {
        "questions": 2,
        "episodes": 3,
        "texts": 3,
        "drills": 2,
        "tours": 2,
        "together": 2,
        "steps": 4,
        "tokens": 64,
    }
    settings = PretrainSettings.model_validate({"model": str(folder), "output": "unused", **asked, **changes})
    return Lessons(load_processor(folder), load_profile(folder / "focus.json"), settings)


def tensors(thing: Any) -> list[torch.Tensor]:
    if isinstance(thing, torch.Tensor):
        return [thing]
    parts = [getattr(thing, field.name) for field in fields(thing)] if is_dataclass(thing) else thing
    return [tensor for part in parts or () for tensor in tensors(part)] if not isinstance(parts, int) else []


def same(one: Lesson, other: Lesson) -> bool:
    pairs = list(zip(tensors(one), tensors(other), strict=True))
    return len(pairs) > 50 and all(torch.equal(*pair) for pair in pairs)


def test_other_processes_make_the_same_lessons_in_their_order(folder: Path) -> None:
    made = list(lessons(folder, workers=2).after(1))
    again = lessons(folder)
    assert len(made) == 3
    assert all(same(lesson, again[step]) for step, lesson in enumerate(made, 1))
    assert made[0].episodes[0].batch.ids.tolist() != made[1].episodes[0].batch.ids.tolist()


def test_texts_that_are_read_at_once_are_of_like_lengths(folder: Path) -> None:
    lesson = lessons(folder)[0]
    for readings in (lesson.texts, lesson.episodes):
        shapes = [reading.batch.ids.shape for reading in readings]
        assert [rows for rows, _ in shapes] == [2, 1]
        assert shapes[0][1] <= shapes[1][1]
    assert [len(reading.batch.ids) for reading in (*lesson.drills, *lesson.tours)] == [2, 2]
    assert all(
        reading.images and reading.images.packed.tokens.sum() == len(reading.images.owner)
        for reading in lesson.episodes
    )


def test_a_lesson_is_moved_whole(folder: Path) -> None:
    moved = on(lessons(folder)[0], torch.device("meta"))
    assert {tensor.device.type for tensor in tensors(moved)} == {"meta"}
    assert moved.shown == lessons(folder)[0].shown
