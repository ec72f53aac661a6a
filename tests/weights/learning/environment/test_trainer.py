"""The trainer's own loop and the graph's show a policy the same: token for token, pixel for pixel."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from langchain_core.messages import AIMessage
from PIL import Image

from cof_agent import ChainOfFocus, FocusConfig, Status
from cof_agent.agent.result import FocusResult
from cof_agent.dialects import default_profile
from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.errors import TrajectoryError
from cof_agent.images.geometry import SizeRule
from cof_agent.learning.collecting.collection import collect
from cof_agent.learning.environment.answer import answered
from cof_agent.learning.environment.speech import said
from cof_agent.learning.environment.zoom import ZoomEnvironment
from cof_agent.learning.exports.exporting import export
from cof_agent.policies.qwen.processor import load_processor
from tests.support.conversations import answer, call, photo, watched, zoom
from tests.support.learning.trainer import ScriptedTrainer, row_of, trainer
from tests.support.teaching import BOX, as_shown, scene, taught_profile, teach_by_heart
from training.rows import load_rows
from training.settings import SftSettings
from training.sft import make_trainer

LOOK, AGAIN, BAD = zoom(10, 20, 200, 170, label="it"), zoom(300, 100, 500, 400), zoom(1, 2, 9000, 40)
BROKEN = "<think>Hm.</think><tool_call>{</tool_call>"
SCRIPTS: dict[str, tuple[list[str], int, dict[str, Any]]] = {
    "an answer at once": ([answer("x")], 1, {}),
    "two zooms": ([LOOK, AGAIN, answer("x")], 3, {}),
    "a refused box": ([BAD, LOOK, answer("x")], 3, {}),
    "arguments of every wrong kind": (
        [
            call("image_zoom_in_tool", box=[1, 2, 3, 4]),
            call("image_zoom_in_tool", bbox_2d="here", self=1),
            call("image_zoom_in_tool", bbox_2d=[1, 2, 30, 40], label=7),
            answer("x"),
        ],
        4,
        {"max_refused": 9},
    ),
    "a box as text": ([call("image_zoom_in_tool", bbox_2d="[10, 20, 200, 170]"), answer("x")], 2, {}),
    "two zooms in one turn": ([LOOK + AGAIN, answer("x")], 2, {}),
    "a zoom and two refused boxes in one turn": ([LOOK + BAD + BAD, AGAIN, answer("x")], 3, {}),
    "refused and shown in one turn": ([BAD + LOOK + BAD, answer("x")], 2, {}),
    "calls that are not JSON": ([LOOK, BROKEN], 2, {}),
    "no more zooms": ([LOOK, AGAIN, answer("x")], 3, {"max_zooms": 1}),
    "no more zooms in the midst of a turn": ([LOOK + AGAIN + BAD, answer("x")], 2, {"max_zooms": 1}),
    "no zooms at all": ([LOOK, answer("x")], 2, {"max_zooms": 0}),
    "no more visual tokens": ([LOOK, AGAIN + LOOK, answer("x")], 3, {"max_visual_tokens": 23 * 17 + 1100}),
    "too many refused": ([BAD, BAD, answer("x")], 3, {"max_refused": 2}),
    "not refused in a row": ([BAD, LOOK, BAD, answer("x")], 4, {"max_refused": 2}),
    "a call when no more zooms are left": ([LOOK, AGAIN, LOOK, answer("x")], 4, {"max_zooms": 1}),
    "no more turns": ([LOOK, AGAIN], 2, {"max_turns": 2}),
    "words alone": ([LOOK, "It is red."], 2, {}),
    "an answer too early": ([answer("x")], 1, {"min_zooms": 1}),
    "calls that need mending": ([LOOK, LOOK.replace("}}", "},}")], 2, {}),
    "a call that is not closed": ([LOOK, LOOK.removesuffix("</tool_call>")], 2, {}),
    "a declined answer": ([LOOK, answer("cannot answer: too dark")], 2, {}),
}
"""Turns, how many of them the trainer's loop plays, and limits."""


@pytest.fixture(scope="module")
def scripted_trainer(seed_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    rows = [row_of(tmp_path_factory.mktemp("row"), photo(), "What is it?")]
    return trainer(seed_checkpoint, rows, tmp_path_factory.mktemp("out"), kind=ScriptedTrainer)


def of_the_graph(
    processor: Any,
    turns: list[str],
    image: Image.Image | list[Image.Image],
    question: str,
    profile: Profile,
    config: FocusConfig,
    save: Path | None = None,
) -> tuple[list[int], list[Image.Image], FocusResult]:
    """Token ids and images of what the graph, ending as the trainer does, sent with the last turn; how it ended."""
    policy, prompts = watched(*turns, "never said", profile=profile)
    config = config.model_copy(update={"trainer_loop": True})
    result = ChainOfFocus(policy, config=config, save=save).ask(image, question)
    assert len(prompts) == len(turns)
    shown = [as_shown(message) for message in [*prompts[-1], AIMessage(turns[-1])]]
    given = processor.apply_chat_template([shown], tokenize=True, return_dict=True)
    blocks = [block for message in shown if isinstance(message["content"], list) for block in message["content"]]
    images = [block["image"].convert("RGB") for block in blocks if block["type"] == "image"]
    newline = processor.tokenizer("\n")["input_ids"]
    assert given["input_ids"][0][-1:] == newline
    return given["input_ids"][0][:-1], images, result


@pytest.fixture(scope="module")
def imitated(seed_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the recipe for supervised fine-tuning makes of an export: token ids, images and labels of its only row."""
    processor: Any = load_processor(seed_checkpoint)
    processor.image_processor.do_resize = False
    trainers: list[Any] = []

    def example(rows: Path, profile: Profile) -> tuple[list[int], list[Image.Image], list[int]]:
        given = {"model": str(seed_checkpoint), "data": str(rows), "profile": profile.model_dump(mode="json")}
        settings = SftSettings(**given, output=str(tmp_path_factory.mktemp("imitated")), device="cpu", dtype="float32")
        found = load_rows(settings, processor, seed_checkpoint, None, 28)
        trainers[:] = trainers or [make_trainer(settings, processor, found)]
        batch = trainers[0].data_collator([found.table[0]])
        return batch["input_ids"][0].tolist(), found.table[0]["images"], batch["labels"][0].tolist()

    return example


@pytest.mark.parametrize(
    ("profile", "named"),
    [
        (Profile(several_images=True), "image"),
        (default_profile("qwen3").model_copy(update={"overview": SizeRule(), "regions": SizeRule()}), "img_idx"),
    ],
    ids=["cof", "qwen3"],
)
def test_both_loops_show_the_same_of_two_images(
    profile: Profile, named: str, scripted_trainer: Any, seed_checkpoint: Path, tmp_path: Path
) -> None:
    def look(image: int) -> str:
        return call("image_zoom_in_tool", bbox_2d=[20, 30, 200, 180], label="it", **{named: image})

    turns, config = [look(1), look(0) + look(7), look(1) + look(0), answer("x")], FocusConfig()
    images = [photo(), photo(320, 240)]
    row = row_of(tmp_path, images, "Which is red?", profile, config)
    scripted_trainer.max_tool_calling_iterations = config.max_turns - 1
    (ids, seen), again = scripted_trainer.play([row, row], [turns, turns])
    assert again == (ids, seen)
    wanted, pictures, result = of_the_graph(
        load_processor(seed_checkpoint), turns, images, "Which is red?", profile, config
    )
    assert ids == wanted
    assert [image.tobytes() for image in seen] == [picture.tobytes() for picture in pictures]
    episode = scripted_trainer.environments[0].episode
    assert [view.image_index for view in episode.views] == [view.image_index for view in result.views]
    assert [view.image_index for view in episode.views] == [0, 1, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("name", "reminder"),
    [(name, Prompts().reminder) for name in SCRIPTS] + [(name, "") for name in SCRIPTS if name.endswith("turn")],
)
def test_both_loops_show_the_same_tokens_and_pixels(
    name: str, reminder: str, scripted_trainer: Any, imitated: Any, seed_checkpoint: Path, tmp_path: Path
) -> None:
    turns, played, limits = SCRIPTS[name]
    profile, config = Profile(prompts=Prompts(reminder=reminder)), FocusConfig(**limits)
    row = row_of(tmp_path, photo(), "What is it?", profile, config)
    scripted_trainer.max_tool_calling_iterations = config.max_turns - 1
    (ids, images), again = scripted_trainer.play([row, row], [turns, turns])
    assert scripted_trainer.played == played
    assert again == (ids, images)
    wanted, pictures, result = of_the_graph(
        load_processor(seed_checkpoint), turns, photo(), "What is it?", profile, config, tmp_path / "runs"
    )
    assert ids == wanted
    assert [image.tobytes() for image in images] == [picture.tobytes() for picture in pictures]
    prompts, completions, masks, told = scripted_trainer.generated[:4]
    assert said(told[0]).count("<tool_call>") == "".join(turns).count("<tool_call>")
    assert answered(told[0], scripted_trainer.environments[0].episode) == result.answer
    if result.status == Status.BUDGET:  # no example to imitate: the run is not exported
        with pytest.raises(TrajectoryError):
            export(tmp_path / "runs", tmp_path / "rows", profile=profile)
        return
    # The example made from that run is learnt from in the very tokens that the rollout is.
    export(tmp_path / "runs", tmp_path / "rows", profile=profile)
    learnt, seen, labels = imitated(tmp_path / "rows", profile)
    assert learnt[:-1] == ids
    assert [image.tobytes() for image in seen] == [image.tobytes() for image in images]
    assert completions[0] == ids[len(prompts[0]) :]
    assert [int(label != -100) for label in labels] == [0] * len(prompts[0]) + masks[0] + [0]


def test_rollouts_of_one_batch_that_go_different_ways_are_kept_apart(
    scripted_trainer: Any, seed_checkpoint: Path, tmp_path: Path
) -> None:
    scripts = [[BAD, LOOK, AGAIN, answer("x")], [answer("y")], [AGAIN + LOOK, answer("z")], [LOOK, BAD, answer("x")]]
    asked = [f"What is number {number}?" for number, _ in enumerate(scripts)]
    rows = [row_of(tmp_path / str(number), photo(), question) for number, question in enumerate(asked)]
    processor = load_processor(seed_checkpoint)
    for (ids, images), turns, question in zip(scripted_trainer.play(rows, scripts), scripts, asked, strict=True):
        wanted, pictures, _ = of_the_graph(processor, turns, photo(), question, Profile(), FocusConfig())
        assert ids == wanted
        assert [image.tobytes() for image in images] == [picture.tobytes() for picture in pictures]
    assert [environment.episode.zooms for environment in scripted_trainer.environments] == [2, 0, 2, 1]
    assert [environment.episode.refused for environment in scripted_trainer.environments] == [1, 0, 0, 1]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_exported_questions_are_played_as_the_graph_plays_them(
    form: str, scripted_trainer: Any, seed_checkpoint: Path, tmp_path: Path
) -> None:
    collect(
        "scenes:train", "observer", count=4, out=tmp_path / "kept", resolutions=(336,), overview_budgets=(112, None)
    )
    export(tmp_path / "kept", tmp_path / "rows", to="trl-grpo", form=form)
    loaded = datasets.load_dataset(str(tmp_path / "rows"), split="train", cache_dir=str(tmp_path / "cache"))
    rows, processor, turns = list(loaded), load_processor(seed_checkpoint), [zoom(2, 2, 60, 60), answer("x")]
    wanted = []
    for row in rows:
        profile, config = Profile.model_validate_json(row["profile"]), FocusConfig.parse(json.loads(row["config"]))
        ids, images, _ = of_the_graph(processor, turns, row["original"], row["question"], profile, config)
        wanted.append((ids, [image.tobytes() for image in images]))
    for read in (rows, list(loaded.cast_column("original", datasets.Image(decode=False)))):
        played = scripted_trainer.play(read, [turns] * len(rows))
        assert [(ids, [image.convert("RGB").tobytes() for image in images]) for ids, images in played] == wanted
    assert all(len(pixels) == 2 for _, pixels in wanted)


def test_an_environment_tells_what_the_graph_tells(scripted_trainer: Any, tmp_path: Path) -> None:
    turns, config = [LOOK + BAD, AGAIN, LOOK, answer("x")], FocusConfig(max_zooms=2)
    policy, _ = watched(*turns)
    result = ChainOfFocus(policy, config=config).ask(photo(), "What is it?")
    row = row_of(tmp_path, photo(), "What is it?", config=config)
    scripted_trainer.play([row, row], [turns, turns])
    for environment in scripted_trainer.environments:
        episode = environment.episode
        assert episode.views == result.views
        assert (episode.zooms, episode.refused, episode.limit) == (2, 1, "zoom_limit")
        assert (result.usage.zooms, result.usage.refused, result.stop_reason) == (2, 1, "zoom_limit")
        assert episode.visual_tokens == result.usage.visual_tokens


def broken(*_: Any) -> Image.Image:
    raise ZeroDivisionError("the cutter broke")


def test_what_breaks_inside_a_tool_is_no_observation_and_stops_the_training(
    seed_checkpoint: Path, tmp_path: Path
) -> None:
    row = row_of(tmp_path, photo(), "What is it?")
    made = trainer(
        seed_checkpoint, [row], tmp_path / "out", partial(ZoomEnvironment, region_pixels=broken), ScriptedTrainer
    )
    made.scripts = [[LOOK, answer("x")]] * 2
    with pytest.raises(ZeroDivisionError, match="the cutter broke") as raised:
        made.train()
    assert raised.traceback[-1].name == "broken"
    assert raised.value.__notes__ == ["raised inside a tool, in 2 of 2 environments of the batch"]
    assert made.state.global_step == 0
    told = str(made.generated[3])
    assert "no more regions can be shown" in told
    assert "cutter" not in told
    assert "error" not in told


def test_a_policy_that_calls_the_tool_is_trained_on_what_it_was_shown(seed_checkpoint: Path, tmp_path: Path) -> None:
    profile, question = taught_profile("cof"), "What colour is the square?"
    turns = [zoom(*BOX), zoom(20, 20, 90, 90), answer("red")]
    image = scene("green", "red")
    taught = teach_by_heart(seed_checkpoint, tmp_path / "taught", profile, turns, (image, question))
    made = trainer(taught, [row_of(tmp_path / "row", image, question, profile)], tmp_path / "out")
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def watch(_: Any, __: Any, given: dict[str, Any]) -> None:
        if torch.is_grad_enabled() and given.get("pixel_values") is not None:
            seen.append((given["input_ids"].clone(), given["image_grid_thw"].clone()))

    made.model.register_forward_pre_hook(watch, with_kwargs=True)
    made.train()
    assert made.state.global_step == 2
    ids, *_ = of_the_graph(load_processor(seed_checkpoint), turns, image, question, profile, FocusConfig())
    for given, grids in seen:
        assert [row.tolist() for row in given] == [ids, ids]
        assert len(grids) == 2 * 3
    assert len(seen) == 2
    assert all(environment.episode.zooms == 2 for environment in made.environments)
    logged = [entry for entry in made.state.log_history if "tools/call_frequency" in entry]
    assert [(entry["tools/call_frequency"], entry["tools/failure_frequency"]) for entry in logged] == [(2.0, 0.0)] * 2
    assert all(math.isfinite(entry["loss"]) and entry["reward"] == 0.5 for entry in logged)
