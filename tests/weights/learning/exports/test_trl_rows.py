"""What is written for TRL loads with `datasets`, and TRL's own collator learns what the assistant said, and no more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image
from trl.data_utils import is_conversational, prepare_multimodal_messages
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.agent.trajectory_file import read_trajectories
from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError, TrajectoryError
from cof_agent.evaluation import Role
from cof_agent.evaluation.evaluating import evaluate
from cof_agent.images.geometry import SizeRule
from cof_agent.learning.collecting.collected import read_rows
from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.exports.exporting import export
from cof_agent.learning.exports.prompts import import_prompts
from cof_agent.learning.exports.trl import import_trl
from cof_agent.policies.qwen.processor import load_processor
from cof_agent.policies.qwen.seed import write_seed
from cof_agent.scenes import Split
from cof_agent.scenes.observer import observer_policy
from cof_agent.scenes.question import scene_question
from cof_agent.scenes.render import render
from tests.support.conversations import answer, watched, zoom
from tests.support.learning.spoken import SCRIPTS, Run, as_held, as_spoken, content, run
from tests.support.learning.told import HERE, THERE, looking, told

SMALL = Profile(overview=SizeRule(max_pixels=224**2), regions=SizeRule(max_pixels=112**2))
"""Few tokens an image, so that a batch is quickly made."""


def three_images(save: Path) -> Run:
    return run(save, [zoom(0, 0, 90, 90), zoom(5, 5, 5, 5), zoom(100, 50, 180, 120), answer("“x”\n")], SMALL)


def loaded(directory: Path, cache: Path) -> Any:
    return datasets.load_dataset(str(directory), split="train", cache_dir=str(cache))


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_processor(write_seed(tmp_path_factory.mktemp("seed") / "checkpoint"))


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_rows_load_with_their_images_as_pictures_of_the_size_shown(form: str, tmp_path: Path) -> None:
    made = [three_images(tmp_path / "runs"), run(tmp_path / "runs", [answer("y")], SMALL)]
    export(tmp_path / "runs", tmp_path / "out", form=form, profile=SMALL)
    rows = loaded(tmp_path / "out", tmp_path / "cache")
    assert [row["answer"] for row in rows] == ["“x”", "y"]
    for row, one in zip(rows, made, strict=True):
        assert all(isinstance(image, Image.Image) for image in row["images"])
        assert [image.size for image in row["images"]] == [view.shown for view in one.result.views]
        blocks = [block["type"] for message in row["messages"] for block in message["content"]]
        assert blocks.count("image") == len(row["images"])
    assert rows.features["images"] == datasets.List(datasets.Image())


def test_a_loaded_row_is_the_same_in_both_forms(tmp_path: Path) -> None:
    three_images(tmp_path / "runs")
    for form in ("jsonl", "parquet"):
        export(tmp_path / "runs", tmp_path / form, form=form, profile=SMALL)
    one, other = (dict(loaded(tmp_path / form, tmp_path / "cache")[0]) for form in ("jsonl", "parquet"))
    pixels = [[image.tobytes() for image in row.pop("images")] for row in (one, other)]
    assert pixels[0] == pixels[1]
    assert one == other
    assert [as_held(row) for row in import_trl(tmp_path / "jsonl")] == [
        as_held(row) for row in import_trl(tmp_path / "parquet")
    ]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_the_collator_of_trl_learns_exactly_what_the_assistant_said(form: str, processor: Any, tmp_path: Path) -> None:
    made = [three_images(tmp_path / "runs"), run(tmp_path / "runs", [answer("y")], SMALL)]
    export(tmp_path / "runs", tmp_path / "out", form=form, profile=SMALL)
    rows = list(loaded(tmp_path / "out", tmp_path / "cache"))
    assert is_conversational(rows[0])
    batch = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True)(rows)
    assert len(batch["image_grid_thw"]) == 4
    # The collator hands the images on as they were shown: none is scaled again.
    shown = [view.shown for one in made for view in one.result.views]
    assert [(int(grid[2]) * 14, int(grid[1]) * 14) for grid in batch["image_grid_thw"]] == shown
    tokenizer = processor.tokenizer
    for ids, labels, one in zip(batch["input_ids"], batch["labels"], made, strict=True):
        learnt = tokenizer.decode(ids[labels != -100])
        assert learnt == "".join(f"{turn}<|im_end|>" for turn in one.turns)
        whole = tokenizer.decode([token for token in ids if token != tokenizer.pad_token_id])
        assert whole.count("<|vision_start|>") == len(one.result.views)


def test_the_collator_makes_of_a_row_the_tokens_that_the_loop_would_send(processor: Any, tmp_path: Path) -> None:
    made = three_images(tmp_path / "runs")
    export(tmp_path / "runs", tmp_path / "out", profile=SMALL)
    batch = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True)(
        list(loaded(tmp_path / "out", tmp_path / "cache"))
    )
    text = processor.apply_chat_template(
        [
            {
                "role": role,
                "content": [
                    {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in parts
                ],
            }
            for role, parts in made.spoken
        ],
        tokenize=False,
    )
    ids = [int(token) for token in batch["input_ids"][0]]
    image = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    once = [token for at, token in enumerate(ids) if token != image or ids[at - 1] != image]
    assert processor.tokenizer.decode(once) == text


def scene_runs(save: Path, numbers: range) -> list[Any]:
    """Runs of the ideal observer on scenes to train on."""
    results = []
    for number in numbers:
        question = scene_question(Split.TRAIN, number)
        size = question.scene.size(448)
        agent = ChainOfFocus(observer_policy(question, size), save=save)
        results.append(agent.ask(render(question.scene, size), question.text))
    return results


def test_runs_of_the_observer_need_no_profile(tmp_path: Path) -> None:
    results = scene_runs(tmp_path / "runs", range(4))
    done = export(tmp_path / "runs", tmp_path / "out")
    back = list(import_trl(tmp_path / "out"))
    assert [row.facts.answer for row in back] == [result.answer for result in results if result.answer]
    assert done.rows == len(back) > 0
    for row, trajectory in zip(back, read_trajectories(tmp_path / "runs"), strict=True):
        assert list(row.turns) == [turn.text for turn in trajectory.turns if turn.role == "policy"]
        assert len(row.images) == len(trajectory.views)


def test_prompts_need_right_answers(tmp_path: Path) -> None:
    run(tmp_path / "runs", [answer("x")])
    with pytest.raises(TrajectoryError, match="its right answer is known neither"):
        export(tmp_path / "runs", tmp_path / "out", to="trl-grpo")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection."""
    out = tmp_path_factory.mktemp("collection") / "kept"
    collect("scenes:train", "observer", count=4, out=out, resolutions=(336,), overview_budgets=(112, None))
    return out


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_collection_gives_prompts_from_which_the_question_can_be_played_again(
    form: str, kept: Path, tmp_path: Path
) -> None:
    export(kept, tmp_path / "out", to="trl-grpo", form=form)
    rows, known = loaded(tmp_path / "out", tmp_path / "cache"), list(read_rows(kept))
    trajectories = list(read_trajectories(kept))
    assert 0 < len(rows) == len(known)
    for row, one, trajectory in zip(rows, known, trajectories, strict=True):
        assert (row["id"], row["truth"], row["options"]) == (one.id, one.truth, list(one.options))
        assert "answer" not in row
        assert (row["category"], row["role"], row["kind"]) == (one.category, "train", one.kind)
        assert row["original"].size == (trajectory.image.width, trajectory.image.height)
        profile = Profile.model_validate_json(row["profile"])
        policy, prompts = watched("played", profile=profile)
        config = FocusConfig.parse(json.loads(row["config"]))
        ChainOfFocus(policy, config=config).ask(row["original"], row["question"])
        # What TRL makes of the row is what the loop sends when the question is asked again.
        shown = prepare_multimodal_messages(row["prompt"], row["images"])
        texts = [[block["text"] for block in message["content"] if block["type"] == "text"] for message in shown]
        sent = as_spoken(prompts[0])
        assert [message["role"] for message in shown] == [role for role, _ in sent] == ["system", "user"]
        assert texts == [[part for part in parts if isinstance(part, str)] for _, parts in sent]
        assert [image.size for image in row["images"]] == [trajectory.views[0].shown]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_what_is_rightly_declined_is_exported_like_the_rest(form: str, tmp_path: Path) -> None:
    collect("scenes:train:absent", "observer", count=3, out=tmp_path / "kept", resolutions=(224,), mix="natural")
    assert export(tmp_path / "kept", tmp_path / "sft", form=form).rows == 3
    assert export(tmp_path / "kept", tmp_path / "asked", to="trl-grpo", form=form).rows == 3
    for row in loaded(tmp_path / "sft", tmp_path / "cache"):
        assert row["messages"][-1]["content"][0]["text"].count("<answer>cannot answer: ") == 1
        assert (row["truth"], row["answer"], row["category"]) == ("cannot answer", None, "unanswerable")
    assert {row["truth"] for row in loaded(tmp_path / "asked", tmp_path / "cache")} == {"cannot answer"}


def test_a_collection_exports_the_same_conversations_with_what_is_known_of_them(kept: Path, tmp_path: Path) -> None:
    export(kept, tmp_path / "out")
    back, known = list(import_trl(tmp_path / "out")), list(read_rows(kept))
    assert [(row.facts.id, row.facts.category, row.facts.kind, row.facts.truth) for row in back] == [
        (row.id, row.category, row.kind, row.truth) for row in known
    ]
    assert [row.facts.answer for row in back] == [run.answer for run in read_trajectories(kept)]
    assert {(row.facts.benchmark, row.facts.role, row.facts.policy) for row in back} == {
        ("scenes:train", "train", "observer")
    }
    for left in ("rows.jsonl", "trajectories.jsonl"):  # as a collection looks while its report is not written yet
        (tmp_path / left).write_bytes((kept / left).read_bytes())
    with pytest.raises(ConfigError, match="unfinished collection: run the same `collect` again"):
        export(tmp_path, tmp_path / "other")


def test_what_an_evaluation_saved_of_a_test_set_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    evaluate("scenes:test", "observer", resolutions=(336,), limit=3, out=tmp_path / "run", trajectories=True)
    for where in (tmp_path / "run", tmp_path / "run" / "trajectories"):
        with pytest.raises(ConfigError, match=r"of a test set.*allow_test=True"):
            export(where, tmp_path / "out", to="trl-grpo")
    done = export(tmp_path / "run", tmp_path / "out", to="trl-grpo", allow_test=True)
    rows = loaded(tmp_path / "out", tmp_path / "cache")
    assert len(rows) == done.rows == 3
    results = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    truths = {row["text"]: row["truth"] for row in results}
    assert [(row["truth"], row["role"]) for row in rows] == [(truths[row["question"]], "test") for row in rows]


@pytest.mark.parametrize("to", ["trl", "trl-grpo", "sharegpt"])
def test_a_test_set_is_told_from_whatever_was_made_of_it(to: str, tmp_path: Path) -> None:
    made = told(looking(), looking(HERE), looking(HERE, THERE), role=Role.TEST)
    collect(*made, count=3, out=tmp_path / "kept", resolutions=(84,), allow_test=True)
    origin, source = "trajectories", tmp_path / "kept"
    for step in range(2):
        out = tmp_path / str(step)
        with pytest.raises(ConfigError, match=r"is of a test set \(made\).*allow_test=True"):
            export(source, out, origin=origin, to=to)
        assert not out.exists()
        assert export(source, out, origin=origin, to=to, allow_test=True).rows == 3
        origin, source = to.removesuffix("-grpo"), out


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One question of an evaluation."""
    out = tmp_path_factory.mktemp("evaluation") / "run"
    evaluate("scenes:train", "observer", resolutions=(336,), limit=1, out=out, trajectories=True)
    return out


def test_regions_that_were_changed_to_test_a_policy_are_nothing_to_learn_from(tmp_path: Path) -> None:
    out = tmp_path / "run"
    evaluate("scenes:train", "observer", resolutions=(336,), limit=1, out=out, trajectories=True, regions=("blank",))
    with pytest.raises(ConfigError, match=r"do not show what they should .regions= blank.: export runs made without"):
        export(tmp_path / "run", tmp_path / "out")


def test_a_question_that_was_run_twice_is_one_prompt_and_two_conversations(evaluated: Path, tmp_path: Path) -> None:
    shutil.copytree(evaluated, tmp_path / "run")
    lines = tmp_path / "run" / "trajectories" / "trajectories.jsonl"
    lines.write_bytes(lines.read_bytes() * 2)
    assert export(tmp_path / "run", tmp_path / "prompts", to="trl-grpo").rows == 1
    assert export(tmp_path / "run", tmp_path / "rows").rows == 2


def test_prompts_are_no_conversations_and_the_other_way_round(evaluated: Path, tmp_path: Path) -> None:
    export(evaluated, tmp_path / "prompts", to="trl-grpo")
    with pytest.raises(TrajectoryError, match=r"line 1 is no conversation: it has no messages .*--to trl-grpo"):
        list(import_trl(tmp_path / "prompts"))
    export(evaluated, tmp_path / "rows")
    with pytest.raises(TrajectoryError, match=r"line 1 is no prompt: it has no prompt .*--to trl\)"):
        list(import_prompts(tmp_path / "rows"))


def test_prompts_come_back_as_they_were_written(kept: Path, tmp_path: Path) -> None:
    export(kept, tmp_path / "lines", to="trl-grpo")
    export(tmp_path / "lines", tmp_path / "table", origin="trl", to="trl-grpo", form="parquet")
    export(tmp_path / "table", tmp_path / "again", origin="trl", to="trl-grpo")
    assert content(tmp_path / "again") == content(tmp_path / "lines")


BREAKS = {
    "more placeholders": lambda row: row["images_file_names"].pop(),
    "its 4 images are more": lambda row: row["images_file_names"].append(row["images_file_names"][0]),
    "is outside of its directory": lambda row: row["images_file_names"].__setitem__(0, "../../secret.png"),
    "the last turn is not the assistant's": lambda row: row["messages"].pop(),
    "a block of type 'video'": lambda row: row["messages"][1]["content"].append({"type": "video"}),
    "a block of text without text": lambda row: row["messages"][0]["content"].append({"type": "text", "text": None}),
    "'messages'|no messages": lambda row: row.pop("messages"),
    "images belong in user turns": lambda row: row["messages"][2]["content"].append(
        row["messages"][1]["content"].pop(0)
    ),
}


@pytest.mark.parametrize("why", BREAKS)
def test_a_row_that_is_no_conversation_is_named(why: str, tmp_path: Path) -> None:
    three_images(tmp_path / "runs")
    export(tmp_path / "runs", tmp_path / "out", profile=SMALL)
    path = tmp_path / "out" / "metadata.jsonl"
    row = json.loads(path.read_bytes())
    BREAKS[why](row)
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    read = import_trl(path)
    next(read)
    with pytest.raises(TrajectoryError, match=f"metadata.jsonl line 2 is no conversation: .*({why})"):
        next(read)


def test_every_way_to_speak_goes_through_one_file(processor: Any, tmp_path: Path) -> None:
    for name in ("cof", "cof, both tools"):
        profile, turns = SCRIPTS[name]
        run(tmp_path / name, turns, profile)
        export(tmp_path / name, tmp_path / f"{name} out", profile=profile)
        batch = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True)(
            list(loaded(tmp_path / f"{name} out", tmp_path / "cache"))
        )
        learnt = processor.tokenizer.decode(batch["input_ids"][batch["labels"] != -100])
        assert learnt == "".join(f"{turn}<|im_end|>" for turn in turns)
