"""Conversations that go on from where a policy has looked by itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cof_agent.errors import ConfigError
from cof_agent.evaluation.evaluating import evaluate
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.scenes.reach import SCENE_PROFILE, Outlook
from tests.support.training.seeds import write_smallest
from tests.weights.training.tiny_pretrain.test_episodes import coordinates, loop_holds
from training.tiny_pretrain.episodes import Episodes
from training.tiny_pretrain.own_looks import OwnLooks, read_own_looks
from training.tiny_pretrain.search import Seeker
from training.tiny_pretrain.telling import tell
from training.tiny_pretrain.transcript import Scribe
from training.tiny_pretrain.truth import NOTHING


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the observer, which zooms on what is asked about."""
    out = tmp_path_factory.mktemp("runs") / "train"
    evaluate("scenes:train", "observer", resolutions=(448, 1536), limit=12, out=out)
    return out


@pytest.fixture(scope="module")
def looks(ran: Path) -> tuple[OwnLooks, ...]:
    return read_own_looks(ran, SCENE_PROFILE)


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_processor(write_smallest(tmp_path_factory.mktemp("seeds") / "smallest"))


def test_looks_are_those_of_the_runs(ran: Path, looks: tuple[OwnLooks, ...]) -> None:
    rows = [json.loads(line) for line in (ran / "results.jsonl").read_text().splitlines()]
    zoomed = [row for row in rows if row["zooms"]]
    assert len(looks) == len(zoomed) > 5
    for row, run in zip(zoomed, looks, strict=True):
        assert (run.question.text, run.long_side) == (row["text"], max(row["source"]))
        outlook = Outlook(tuple(row["source"]), SCENE_PROFILE)
        shown = [outlook.region(box).box.as_list() for box in run.boxes]
        assert shown == row["zooms"][: len(shown)]
        steps = Seeker(run.question, run.long_side, SCENE_PROFILE, Random(0)).taken(run.boxes)
        assert {step.looked_at for step in steps} <= {*run.question.targets}  # it looks at nothing else
        assert all(step.taken and step.astray for step in steps)


def test_a_search_that_has_found_it_ends_and_one_that_has_not_goes_on_elsewhere(looks: tuple[OwnLooks, ...]) -> None:
    ended, went_on = 0, 0
    for run in looks:
        seeker = Seeker(run.question, run.long_side, SCENE_PROFILE, Random(0))
        before = seeker.taken(run.boxes)
        found = seeker.search(before=before)
        assert found.steps[: len(before)] == before
        later = [step.looked_at for step in found.steps[len(before) :]]
        assert not {*later} & {step.looked_at for step in before}
        ended += not later
        went_on += bool(later)
    assert ended > 3
    assert went_on + ended == len(looks)


def test_an_empty_place_is_left_and_what_is_asked_about_still_looked_for(looks: tuple[OwnLooks, ...]) -> None:
    run = next(run for run in looks if run.long_side == 1536 and len(run.question.targets) == 1)
    seeker = Seeker(run.question, run.long_side, SCENE_PROFILE, Random(0))
    empty = seeker._empty()
    assert empty is not None
    [step] = seeker.taken([empty.corners])
    assert step.looked_at == -1
    assert seeker.search(before=(step,)).steps[1:]


def test_of_a_look_that_was_taken_only_what_it_has_shown_is_learnt(looks: tuple[OwnLooks, ...], processor: Any) -> None:
    scribe, decode = Scribe(processor.tokenizer), processor.tokenizer.decode
    episodes = Episodes(processor, SCENE_PROFILE, 3, 4, {"adaptive": 1.0}, looks=looks)
    for number, run in enumerate(looks):
        story = tell(run.question, run.long_side, SCENE_PROFILE, "adaptive", Random(number), run.boxes)
        loop_holds(run.question, run.long_side, story)
        told = episodes.written(story)
        written = scribe.episode(told.text, told.grids, told.own)
        learnt = [label != NOTHING for label in written.labels]
        said = "".join(
            decode([token]) if learns else "\0" for token, learns in zip(written.ids[1:], learnt, strict=False)
        )
        parts = [part for part in re.split("\0+", said) if part]
        turns = re.findall(r"assistant\n(.*?<\|im_end\|>)", told.text, re.DOTALL)
        for nth, (part, turn) in enumerate(zip(parts, turns, strict=True)):
            if nth < len(run.boxes):
                assert part == turn[: turn.index(" I look" if nth else "I look")]
                assert len(coordinates(turn)) > 3
            else:
                assert part == turn


def test_half_of_the_conversations_go_on_from_looks(looks: tuple[OwnLooks, ...], processor: Any) -> None:
    episodes = Episodes(processor, SCENE_PROFILE, 3, 40, {"adaptive": 1.0}, looks=looks[:1])
    questions = [told.text for told in episodes.make(0)]
    assert 8 < sum(looks[0].question.text.splitlines()[0] in text for text in questions) < 32


def test_runs_that_do_not_fit_are_refused(ran: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not what `cof-agent eval scenes:train --out` writes"):
        read_own_looks(tmp_path / "none", SCENE_PROFILE)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text((ran / "run.json").read_text())
    (tmp_path / "torn" / "results.jsonl").write_text((ran / "results.jsonl").read_text()[:-40])
    with pytest.raises(ConfigError, match="torn is not what `cof-agent eval scenes:train --out` writes: "):
        read_own_looks(tmp_path / "torn", SCENE_PROFILE)
    evaluate("scenes:test", "observer", resolutions=(448,), limit=2, out=tmp_path / "test")
    with pytest.raises(ConfigError, match="is about scenes: take scenes:train"):
        read_own_looks(tmp_path / "test", SCENE_PROFILE)
    evaluate("scenes:train", "observer", resolutions=(224,), limit=2, out=tmp_path / "near")
    with pytest.raises(ConfigError, match=r"no run in .* zoomed"):
        read_own_looks(tmp_path / "near", SCENE_PROFILE)
