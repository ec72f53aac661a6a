"""What verl's agent loop plays: every token, mask, log-probability and pixel, against a server that keeps its calls."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from langchain_core.messages import AIMessage, HumanMessage

from cof_agent import FocusConfig
from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.errors import CofError, ConfigError, PolicyError
from cof_agent.evaluation.question import BenchmarkQuestion
from cof_agent.images.geometry import SizeRule
from cof_agent.learning.exports.exporting import export
from cof_agent.learning.exports.verl import LOOP
from cof_agent.learning.rewards import REWARDS
from cof_agent.policies.qwen.checkpoint import find_checkpoint
from cof_agent.policies.qwen.prompt import PromptWriter
from tests.support.conversations import answer, photo, zoom
from tests.support.learning.spoken import NEITHER, SCRIPTS, run
from tests.support.patience import PATIENCE
from tests.support.training.rollout_server import Said, ScriptedServer
from tests.support.training.smoke import CONFIGS, told
from training.rows import load_rows
from training.sft import _template, make_trainer
from training.verl.chat import ChatRollout
from training.verl.group import Groups
from training.verl.question import Asked, asked
from training.verl.rollout import Played, play
from training.verl.tokens import Tokens

SMALL = Profile(overview=SizeRule(max_pixels=224**2), regions=SizeRule(max_pixels=112**2))
ROOM = (4000, 8000)
SAMPLING = {"temperature": 1.0, "logprobs": True}


@pytest.fixture(scope="module")
def writer(seed_checkpoint: Path) -> PromptWriter:
    return PromptWriter(find_checkpoint(seed_checkpoint))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    photo().save(path)
    return str(path)


def question(image: str, profile: Profile = SMALL, config: FocusConfig | None = None, truth: str = "x") -> Asked:
    return Asked(BenchmarkQuestion("q", image, "What is it? <b>&", truth), profile, config or FocusConfig())


def played(
    writer: PromptWriter, script: Any, what: Asked, room: tuple[int, int] = ROOM, **sampling: Any
) -> tuple[Played, ScriptedServer]:
    server = ScriptedServer(writer.tokenizer, script)
    return asyncio.run(play(what, writer, server, {**SAMPLING, **sampling}, "r", room)), server


def test_to_decline_is_right_where_a_question_cannot_be_answered(writer: PromptWriter, image: str) -> None:
    for truth, said, right in (
        ("cannot answer", "cannot answer: no dog", True),
        ("cannot answer", "x", False),
        ("x", "cannot answer: no dog", False),
    ):
        made, _ = played(writer, [answer(said)], question(image, truth=truth))
        assert made.rollout.correct is right


def spelt(writer: PromptWriter, text: str) -> list[int]:
    """Ids of each character by itself, and the end of the turn."""
    ids = [token for character in text for token in writer.tokenizer(character)["input_ids"]]
    return [*ids, writer.checkpoint.ends[0]]


@pytest.mark.parametrize("name", SCRIPTS)
def test_tokens_mask_and_pixels_are_those_of_the_conversation_as_a_whole(
    name: str, writer: PromptWriter, image: str, tmp_path: Path
) -> None:
    profile, turns = SCRIPTS[name]
    sizes = {rule: replace(getattr(profile, rule), factor=28) for rule in ("overview", "regions")}
    profile = profile.model_copy(update=sizes)  # what the seed takes
    made, server = played(writer, turns, question(image, profile))
    beside = run(tmp_path, turns, profile)
    assert made.trajectory.answer == beside.result.answer == "x"
    tokens = made.tokens
    whole = writer.write([*beside.prompts[-1], AIMessage(turns[-1])])
    end = max(position for position, token in enumerate(whole.ids) if token == writer.checkpoint.ends[0])
    assert [*tokens.prompt, *tokens.response] == list(whole.ids[: end + 1])
    spoken = [token for token, by_policy in zip(tokens.response, tokens.mask, strict=True) if by_policy]
    assert spoken == [token for said in server.said for token in said.token_ids]
    assert writer.tokenizer.decode(spoken) == "".join(f"{turn}<|im_end|>" for turn in turns)
    shown = [beside.result.view_image(index).tobytes() for index, _ in enumerate(beside.result.views)]
    assert [picture.tobytes() for picture in tokens.images] == shown
    assert [picture.tobytes() for picture in server.given[-1].images] == shown
    # The server was shown exactly what stands before each of its turns.
    before = [*tokens.prompt, *tokens.response]
    for given, said in zip(server.given, server.said, strict=True):
        length = len(given.prompt_ids)
        assert given.prompt_ids == before[:length]
        assert before[length : length + len(said.token_ids)] == said.token_ids
    assert {given.request_id for given in server.given} == {"r"}


def test_log_probabilities_stand_at_the_tokens_that_they_are_of(writer: PromptWriter, image: str) -> None:
    made, server = played(writer, [zoom(0, 0, 90, 90), NEITHER, answer("x")], question(image))
    tokens = made.tokens
    assert [value for value, own in zip(tokens.logprobs, tokens.mask, strict=True) if own] == [
        value for said in server.said for value in said.log_probs or ()
    ]
    assert {value for value, own in zip(tokens.logprobs, tokens.mask, strict=True) if not own} == {0.0}
    assert made.trajectory.turns[1].token_ids == tuple(server.said[0].token_ids)
    without, server = played(writer, [answer("x")], question(image), logprobs=False)
    assert (server.said[0].log_probs, set(without.tokens.logprobs)) == (None, {0.0})


def test_the_example_for_supervised_learning_has_the_same_ids_and_labels(
    seed_checkpoint: Path, writer: PromptWriter, image: str, tmp_path: Path
) -> None:
    turns = [zoom(0, 0, 90, 90), zoom(5, 5, 5, 5), NEITHER, zoom(100, 50, 180, 120), answer("“x”\n")]
    made, _ = played(writer, turns, question(image, config=FocusConfig(max_zooms=2)))
    run(tmp_path / "runs", turns, SMALL, config=FocusConfig(max_zooms=2))
    export(tmp_path / "runs", tmp_path / "rows", profile=SMALL)
    settings = told(seed_checkpoint, tmp_path / "rows", tmp_path / "out", profile=SMALL.model_dump(mode="json"))
    processor: Any = writer.checkpoint.processor
    rows = load_rows(settings, processor, seed_checkpoint, _template(processor, settings), 28)
    trainer = make_trainer(settings, processor, rows)
    batch = trainer.data_collator([rows.table[0]])
    ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
    tokens = made.tokens
    assert ids[:-1] == [*tokens.prompt, *tokens.response]  # without the newline behind the last turn
    assert [int(label != -100) for label in labels] == [*([0] * len(tokens.prompt)), *tokens.mask, 0]


def test_a_reply_in_other_tokens_than_its_text_would_give_stays_as_it_came(writer: PromptWriter, image: str) -> None:
    first, last = spelt(writer, zoom(0, 0, 90, 90)), spelt(writer, answer("x"))
    usual = writer.tokenizer(f"{zoom(0, 0, 90, 90)}<|im_end|>")["input_ids"]
    assert (first != usual, writer.tokenizer.decode(first)) == (True, writer.tokenizer.decode(usual))
    made, server = played(writer, [first, last], question(image))
    assert (made.rollout.correct, made.rollout.zooms, made.rollout.outcome) == (True, 1, 1.0)
    tokens = made.tokens
    assert [token for token, own in zip(tokens.response, tokens.mask, strict=True) if own] == [*first, *last]
    assert server.given[1].prompt_ids[len(tokens.prompt) :][: len(first)] == first
    # What is shown between them is what it is between the usual tokens.
    plain, _ = played(writer, [zoom(0, 0, 90, 90), answer("x")], question(image))
    between = [
        [token for token, own in zip(one.response, one.mask, strict=True) if not own] for one in (tokens, plain.tokens)
    ]
    assert between[0] == between[1]


def test_a_turn_that_was_cut_off_gets_an_end_that_is_not_learnt(writer: PromptWriter, image: str) -> None:
    end = writer.checkpoint.ends[0]
    cut = writer.tokenizer("<think>I go on and")["input_ids"]
    placeholder = writer.checkpoint.image_token
    for reply, kept in ((cut, cut), ([*cut, placeholder, 5], cut), ([*cut, end, 5], [*cut, end])):
        made, server = played(writer, [reply, answer("x")], question(image))
        tokens = made.tokens
        assert tokens.response[: len(kept)] == kept
        assert tokens.mask[: len(kept)] == [1] * len(kept)
        behind = server.given[1].prompt_ids[len(tokens.prompt) + len(cut) :]
        assert behind[0] == end
        assert writer.tokenizer.decode(behind).startswith("<|im_end|>\n<|im_start|>user\n" + Prompts().format_error)
        assert tokens.mask[len(cut)] == int(kept[-1] == end)
        assert tokens.response.count(placeholder) == 0


def test_a_region_without_room_is_not_in_the_response_and_ends_the_rollout(writer: PromptWriter, image: str) -> None:
    turns = [zoom(0, 0, 90, 90), answer("x")]
    whole, server = played(writer, turns, question(image))
    length, said = len(whole.tokens.response), [len(turn.token_ids) for turn in server.said]
    assert [given.sampling_params["max_tokens"] for given in server.given] == [ROOM[1], ROOM[1] - length + said[1]]
    room = length - said[1]  # for the region, and for nothing behind it
    made, server = played(writer, turns, question(image), (ROOM[0], room))
    assert (len(server.said), made.tokens.full, made.rollout.answer) == (1, True, None)
    assert made.tokens.response == server.said[0].token_ids
    assert len(made.tokens.images) == 1
    # With room for one token more there is one.
    made, _ = played(writer, turns, question(image), (ROOM[0], room + 1))
    assert (len(made.tokens.response), made.tokens.mask[-1], len(made.tokens.images)) == (room + 1, 1, 2)
    region = made.trajectory.views[1].tokens
    assert sum(token == writer.checkpoint.image_token for token in made.tokens.response) == region > 1
    _, server = played(writer, [answer("x")], question(image), max_tokens=70)
    assert server.given[0].sampling_params == {**SAMPLING, "max_tokens": 70}


def failing(turns: list[Any], error: type[CofError], why: str, **changes: Any) -> Any:
    return pytest.param(turns, error, why, changes, id=why[:24])


@pytest.mark.parametrize(
    ("turns", "error", "why", "changes"),
    [
        failing([OSError("gone")], PolicyError, "a rollout of question q failed: OSError: gone"),
        failing([Said([5], None, "aborted")], PolicyError, "has aborted the turn"),
        failing([Said([5, 6], [-1.0])], PolicyError, "gave 2 tokens and 1 log-probabilities"),
        failing([Said([5, 6], None)], PolicyError, "gave 2 tokens and 0 log-prob.*set calculate_log_probs"),
        failing(
            [zoom(0, 0, 90, 90), zoom(0, 0, 80, 80), zoom(0, 0, 70, 70), answer("x")],
            PolicyError,
            "earlier messages were changed.*raise max_conversation_tokens",
            config=FocusConfig(max_conversation_tokens=1),
        ),
        failing([answer("x")], PolicyError, "the first prompt has .* max_prompt_length is 100", room=(100, 100)),
        failing([answer("x")], ConfigError, "cannot bind tools", profile=Profile(dialect="native")),
    ],
)
def test_what_is_no_rollout_to_learn_from_is_raised(
    turns: list[Any], error: type[CofError], why: str, changes: dict[str, Any], writer: PromptWriter, image: str
) -> None:
    room = changes.pop("room", ROOM)
    with pytest.raises(error, match=why):
        played(writer, turns, question(image, **changes), room)


def test_an_image_that_server_and_trainer_would_resize_is_refused(
    seed_checkpoint: Path, image: str, tmp_path: Path
) -> None:
    small = Path(shutil.copytree(seed_checkpoint, tmp_path / "small"))
    settings = json.loads((small / "preprocessor_config.json").read_text()) | {"max_pixels": 150 * 28**2 // 4}
    (small / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(PolicyError, match=r"an image of 252x168 pixels would be resized: .* takes 784 to 29400 pixels"):
        played(PromptWriter(find_checkpoint(small)), [answer("x")], question(image))


def test_a_model_leads_one_conversation_with_asyncio(writer: PromptWriter) -> None:
    model = ChatRollout(server=None, tokens=Tokens(writer, *ROOM), request_id="r")
    with pytest.raises(ConfigError, match="use ainvoke"):
        model.invoke([HumanMessage("?")])
    with pytest.raises(ConfigError, match="takes no stop in a call"):
        asyncio.run(model.ainvoke([HumanMessage("?")], stop=["x"]))


async def group(writer: PromptWriter, image: str, scripts: list[list[Any]], reward: str) -> list[Any]:
    groups = Groups(REWARDS[reward])

    async def one(script: list[Any]) -> tuple[float, Played]:
        with groups.member("question") as member:
            made = await play(question(image), writer, ScriptedServer(writer.tokenizer, script), SAMPLING, "r", ROOM)
            return await member.earn(made.rollout), made

    return await asyncio.wait_for(asyncio.gather(*map(one, scripts), return_exceptions=True), PATIENCE)


@pytest.mark.parametrize("reward", REWARDS)
def test_rollouts_of_a_question_earn_what_their_group_does(reward: str, writer: PromptWriter, image: str) -> None:
    look = zoom(0, 0, 90, 90)
    scripts = [[look, answer("x")], [answer("x")], [look, look, answer("y")], [answer("y")], ["<answer>y</answer>"]]
    earned = asyncio.run(group(writer, image, scripts, reward))
    wanted = REWARDS[reward]([made.rollout for _, made in earned])
    assert [value for value, _ in earned] == list(wanted)
    assert len(set(wanted)) >= 3
    alone = asyncio.run(group(writer, image, scripts[:1], reward))
    assert alone[0][0] == 1.0


def test_a_rollout_that_fails_keeps_nobody_waiting(writer: PromptWriter, image: str) -> None:
    scripts = [[zoom(0, 0, 90, 90), answer("x")], [OSError("gone")], [zoom(0, 0, 90, 90), NEITHER, OSError("later")]]
    first, *others = asyncio.run(group(writer, image, scripts, "agar-strict"))
    assert first[0] == 1.0
    assert [str(error).rpartition(": ")[2] for error in others] == ["gone", "later"]

    def broken(_: Any) -> Any:
        raise ZeroDivisionError("the reward broke")

    async def two() -> list[Any]:
        groups = Groups(broken)

        async def one() -> float:
            with groups.member("question") as member:
                await asyncio.sleep(0)
                return await member.earn(first[1].rollout)

        return await asyncio.wait_for(asyncio.gather(one(), one(), return_exceptions=True), PATIENCE)

    assert {type(error) for error in asyncio.run(two())} == {ZeroDivisionError, KeyError}


def test_exported_questions_are_played(writer: PromptWriter, kept: Path, tmp_path: Path) -> None:
    export(kept, tmp_path / "rows", to="verl")
    files, cache = str(tmp_path / "rows" / "train.parquet"), str(tmp_path / "cache")
    table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
    assert len(table) > 2
    for row in table:
        what = asked(row, {"max_turns": 3})
        assert (row["agent_name"], row["prompt"]) == (LOOP, [{"role": "user", "content": what.question.text}])
        assert what.config == FocusConfig.parse(json.loads(row["extra_info"]["config"]) | {"max_turns": 3})
        made, server = played(writer, [answer(what.question.answer)], what)
        assert (made.rollout.correct, len(server.given[0].images)) == (True, 1)
    for changed, why in (
        ({"reward_model": {}}, "has no ground_truth: use rows of"),
        ({"extra_info": {"id": "7"}}, "row '7' has no question, original, profile, config: use rows of"),
        ({"extra_info": {**row["extra_info"], "profile": "{"}}, "is not JSON"),
        ({"extra_info": {**row["extra_info"], "config": "[]"}}, "is no JSON object"),
    ):
        with pytest.raises(ConfigError, match=why):
            asked(row | changed, {})
    with pytest.raises(ConfigError, match="max_turn"):
        asked(row, {"max_turn": 3})


def test_the_configuration_is_that_of_the_release() -> None:
    config = yaml.safe_load((CONFIGS / "verl_grpo_qwen2_5_vl_7b.yaml").read_text())
    assert (config["data"]["train_batch_size"], config["data"]["max_prompt_length"]) == (64, 25_600)
    assert config["data"]["max_response_length"] == 32_756
    actor, rollout = config["actor_rollout_ref"]["actor"], config["actor_rollout_ref"]["rollout"]
    assert (rollout["n"], rollout["temperature"]) == (6, 1.0)
    assert (actor["optim"]["lr"], actor["entropy_coeff"]) == (1e-6, 0)
    assert (actor["use_kl_loss"], actor["kl_loss_coef"], actor["kl_loss_type"]) == (True, 0.001, "low_var_kl")
    (loop,) = yaml.safe_load((CONFIGS / "verl_loop.yaml").read_text())
    assert (loop["name"], loop["_target_"]) == (LOOP, "training.verl.loop.FocusLoop")
    assert loop["reward"] in REWARDS
    assert FocusConfig.parse(loop["limits"]).max_turns + 1 == 4  # and the closing one
