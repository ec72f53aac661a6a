"""The whole loop on a checkpoint that was taught to zoom once and to name the colour it then sees."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from cof_agent import ChainOfFocus, FocusConfig, FocusResult, load_policy
from cof_agent.dialects.profile import Profile
from cof_agent.loop.state import Status, StopReason
from cof_agent.policies import Policy
from cof_agent.policies.qwen.chat import ChatQwenVL
from cof_agent.policies.qwen.checkpoint import open_checkpoint
from cof_agent.policies.qwen.engine import Generation
from tests.support.qwen_models import WatchedBatches, block, with_zoom_token
from tests.support.teaching import COLOURS, PROMPTS, QUESTIONS, scene, taught_profile, teach_by_heart

PAIRS = list(itertools.permutations(COLOURS, 2))
QUESTIONS_ASKED = [(scene(*pair), QUESTIONS[number % len(QUESTIONS)]) for number, pair in enumerate(PAIRS)]
"""Those it was taught."""


@pytest.fixture(scope="module")
def policy(taught_checkpoint: Path) -> Policy:
    return load_policy(f"hf:{taught_checkpoint}", record_tokens=True, max_new_tokens=120)


def test_it_zooms_and_answers_from_the_pixels_of_the_region(policy: Policy) -> None:
    agent = ChainOfFocus(policy)
    for question, (_, middle) in zip(QUESTIONS_ASKED[:4], PAIRS, strict=False):
        result = agent.ask(*question)
        assert (result.answer, result.status, result.usage.zooms) == (middle, Status.ANSWERED, 1)
        turns = [turn for turn in result.trajectory.turns if turn.role == "policy"]
        assert len(turns) == 2
        for turn in turns:
            assert turn.token_ids
            assert turn.logprobs
            assert len(turn.token_ids) == len(turn.logprobs)
            assert sum(turn.logprobs) > -1.0  # it is sure of what it learnt
        assert result.usage.completion_tokens == sum(len(turn.token_ids or ()) for turn in turns)


def test_the_second_turn_runs_only_what_is_new(policy: Policy) -> None:
    seen = _Seen()
    model = policy.model.model_copy(update={"callbacks": [seen]})
    ChainOfFocus(Policy(model, policy.profile, "seen")).ask(scene("red", "white"), "A question of its own?")
    first, second = (message.usage_metadata or {} for message in seen.messages[:2])
    assert second["input_token_details"]["cache_read"] >= first["input_tokens"]
    assert [usage["input_token_details"]["image"] for usage in (first, second)] == [64, 100]


class _Seen(BaseCallbackHandler):
    """Keeps the model's replies."""

    def __init__(self) -> None:
        self.messages: list[AIMessage] = []

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        [[generation]] = response.generations
        assert isinstance(generation, ChatGeneration)
        assert isinstance(generation.message, AIMessage)
        self.messages.append(generation.message)


async def test_many_questions_at_once_are_answered_as_they_are_alone(taught_checkpoint: Path) -> None:
    alone = ChainOfFocus(load_policy(f"hf:{taught_checkpoint}", max_new_tokens=120, prefix_conversations=0))
    asked = [alone.ask(*question) for question in QUESTIONS_ASKED]
    ended: list[Generation] = []

    def all_wait(tasks: list[Generation], waiting: int) -> bool:
        """Whether all that go on have come for their next turn; they have two, the second with another picture."""
        if len(tasks) + waiting + len(ended) < len(QUESTIONS_ASKED):
            return False
        ended.extend(task for task in tasks if len(task.prompt.pictures) == 2)
        return True

    policy = load_policy(f"hf:{taught_checkpoint}", max_new_tokens=120)
    assert isinstance(policy.model, ChatQwenVL)
    sizes = WatchedBatches(policy.model, all_wait).sizes
    results = await ChainOfFocus(policy).abatch(QUESTIONS_ASKED, concurrency=16)
    assert sum(sizes) == 2 * len(QUESTIONS_ASKED)
    assert len(sizes) < len(QUESTIONS_ASKED)  # else the last would wait for all others, one after the other
    assert [_told(result) for result in results] == [_told(result) for result in asked]
    assert [getattr(result, "answer", result) for result in results] == [middle for _, middle in PAIRS]


def _told(result: object) -> list[str]:
    assert isinstance(result, FocusResult)
    return [turn.text for turn in result.trajectory.turns]


def test_a_stream_of_the_run_ends_with_the_same_answer(policy: Policy) -> None:
    for number in (3, 7):
        *_, last = ChainOfFocus(policy).stream(*QUESTIONS_ASKED[number])
        assert isinstance(last, FocusResult)
        assert last.answer == PAIRS[number][1]


@pytest.mark.parametrize(
    "options", [{}, {"stop_after": ("</tool_call>",)}, {"prefix_conversations": 0}, {"max_batch": 1}], ids=str
)
def test_settings_that_change_how_it_is_run_change_no_answer(taught_checkpoint: Path, options: dict[str, Any]) -> None:
    agent = ChainOfFocus(load_policy(f"hf:{taught_checkpoint}", record_tokens=True, **options))
    result = agent.ask(*QUESTIONS_ASKED[2])
    assert (result.answer, result.usage.zooms) == (PAIRS[2][1], 1)


def test_tools_bound_to_the_model_are_called(taught_checkpoint: Path) -> None:
    policy = load_policy(f"hf:{taught_checkpoint}", profile=taught_profile("native"), max_new_tokens=120)
    result = ChainOfFocus(policy).ask(*QUESTIONS_ASKED[5])
    assert (result.answer, result.status, result.usage.zooms) == (PAIRS[5][1], Status.ANSWERED, 1)


def test_a_policy_whose_call_is_a_special_token_zooms_and_points(seed_checkpoint: Path, tmp_path: Path) -> None:
    """Boxes and the call stand between special tokens, which the tokenizer would leave out of text."""
    asked, box = (scene("red", "blue"), QUESTIONS[0]), "<|box_start|>[84, 84, 140, 140]<|box_end|>"
    turns = [f"<think>It is at {box}.</think><|image_zoomin|>", f"<think>I see.</think><answer>blue {box}</answer>"]
    profile = Profile(dialect="cof-v1", prompts=PROMPTS, stop_after_call=True)
    seed = with_zoom_token(seed_checkpoint, tmp_path / "seed")
    seen = _Seen()
    policy = load_policy(f"hf:{teach_by_heart(seed, tmp_path / 'taught', profile, turns, asked)}", record_tokens=True)
    model = policy.model.model_copy(update={"callbacks": [seen]})
    result = ChainOfFocus(Policy(model, policy.profile, "seen")).ask(*asked)
    assert (result.usage.zooms, [message.text for message in seen.messages]) == (1, turns)
    assert (result.answer or "").startswith("blue")
    assert [(item.box, item.source) for item in result.evidence] == [((84, 84, 140, 140), "policy")]
    first, second = (message.usage_metadata or {} for message in seen.messages)
    written = first["input_tokens"] + first["output_tokens"]
    assert second["input_token_details"]["cache_read"] >= written - 2  # all but the end of turn, and what is last


def test_a_streamed_turn_has_the_call_of_the_whole_one(taught_checkpoint: Path) -> None:
    policy = load_policy(f"hf:{taught_checkpoint}", profile=taught_profile("native"), max_new_tokens=120)
    seen = _Seen()
    model = policy.model.model_copy(update={"callbacks": [seen]})
    agent = ChainOfFocus(Policy(model, policy.profile, "seen"))
    kinds = [
        type(part).__name__
        for part, _ in agent.graph.stream(
            {
                "image": f"data:image/png;base64,{block(QUESTIONS_ASKED[5][0])['base64']}",
                "question": QUESTIONS_ASKED[5][1],
            },
            stream_mode="messages",
        )
    ]
    assert kinds.count("AIMessageChunk") > 10
    assert [[call["name"] for call in message.tool_calls] for message in seen.messages] == [["image_zoom_in_tool"], []]


def test_a_run_on_a_model_that_never_ends_its_turn_ends_in_time(seed_checkpoint: Path) -> None:
    chat = ChatQwenVL(checkpoint=replace(open_checkpoint(seed_checkpoint), ends=()), max_new_tokens=30_000)
    agent = ChainOfFocus(Policy(chat, Profile(), "endless"), config=FocusConfig(max_seconds=1.0))
    result = agent.ask(scene("red", "green"), QUESTIONS[0])
    assert (result.status, result.stop_reason) == (Status.BUDGET, StopReason.TIME_LIMIT)
    assert len(result.views) == 1
    assert chat.invoke("And this?", max_new_tokens=2).usage_metadata  # free for the next one
