"""What rollouts earn: every cell of the table, and what must hold for every group."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.dialects.profile import Prompts
from cof_agent.evaluation.question import BenchmarkQuestion
from cof_agent.learning.rewards import (
    REWARDS,
    Rollout,
    accuracy,
    agar_released,
    agar_strict,
    outcome,
    rollout_of,
    well_formed,
)
from tests.support.conversations import answer, photo, scripted, zoom

THOUGHT, ANSWER, CALL = "<think>t</think>", "<answer>4</answer>", "<tool_call>{}</tool_call>"
GOOD = THOUGHT + ANSWER


def rollout(*, zoom: bool, correct: bool, format: bool = True, shown: int | None = None) -> Rollout:
    text = (CALL if zoom else "") + (GOOD if format else ANSWER)
    return Rollout(text, "4", correct, int(zoom) if shown is None else shown)


DIRECT, ZOOMED = rollout(zoom=False, correct=True), rollout(zoom=True, correct=True)
MISSED, WRONG = rollout(zoom=True, correct=False), rollout(zoom=False, correct=False)
SILENT = rollout(zoom=False, correct=False, format=False)
"""Wrong, at first look, and not even in the format."""

GROUPS = st.lists(
    st.builds(
        Rollout,
        text=st.sampled_from([GOOD, ANSWER, CALL + GOOD, CALL, THOUGHT, "", CALL + ANSWER]),
        answer=st.sampled_from(["4", None]),
        correct=st.booleans(),
        zooms=st.integers(0, 3),
    ),
    max_size=7,
)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (GOOD, True),
        (THOUGHT + CALL + GOOD, True),
        (ANSWER + THOUGHT, True),
        ("", False),
        (ANSWER, False),
        (THOUGHT, False),
        (f"<think>{GOOD}", False),
        (f"{GOOD}</think>", False),
        (f"{GOOD}<answer>", False),
        (f"{GOOD}</answer>", False),
        (f"{THOUGHT}</answer><answer>", True),  # counts alone decide
        ("<THINK>t</THINK><answer>4</answer>", False),
        (f"{THOUGHT}<answer>{'word ' * 1000}</answer>", True),
        (f"{THOUGHT}<answer>{'word ' * 1001}</answer>", False),
        (f"{THOUGHT}<answer>{'w' * 9000}</answer>", True),  # words count, not characters
        (f"{THOUGHT}<answer>{'word ' * 1001}</answer>{ANSWER}", False),
        (f"{THOUGHT}{ANSWER}<answer>{'word ' * 1001}</answer>", False),
        (f"<think>{'word ' * 5000}</think>{ANSWER}", True),
        (f"{THOUGHT}</answer><answer>{'word ' * 1001}", False),
    ],
)
def test_the_format_is_a_matter_of_counts_and_of_a_short_answer(text: str, right: bool) -> None:
    assert well_formed(text) is right


@pytest.mark.parametrize(("correct", "format", "earned"), [(1, 1, 1.0), (1, 0, 0.9), (0, 1, 0.1), (0, 0, 0.0)])
def test_the_outcome_is_nine_parts_accuracy_and_one_part_format(correct: int, format: int, earned: float) -> None:
    one = rollout(zoom=False, correct=bool(correct), format=bool(format))
    assert one.outcome == earned
    assert outcome([one, one]) == (earned, earned)


ASKED = BenchmarkQuestion("q", b"", "How many?", "4")
CHOICE = BenchmarkQuestion("q", b"", "Which?\n(A) red\n(B) blue", "B", ("red", "blue"))


@pytest.mark.parametrize(
    ("question", "given", "judged", "right"),
    [
        (ASKED, "4", None, True), (ASKED, "four", None, True), (ASKED, "5", None, False), (ASKED, None, None, False),
        (ASKED, " ", True, False), (CHOICE, "(B)", None, True), (CHOICE, "blue", None, True),
        (CHOICE, "A", True, False),  # a rule is certain: no judge is heard
        (CHOICE, "the one like the sea", None, False), (CHOICE, "the one like the sea", True, True),
        (CHOICE, "the one like the sea", False, False),
    ],
)  # fmt: skip
def test_rules_decide_and_then_a_judge(
    question: BenchmarkQuestion, given: str | None, judged: bool | None, right: bool
) -> None:
    assert accuracy(question, given, judged) is right


@pytest.mark.parametrize("options", [(), ("red", "blue")])
def test_to_decline_is_right_where_there_is_no_answer(options: tuple[str, ...]) -> None:
    unanswerable = BenchmarkQuestion("q", b"", "Which dog?", "cannot answer", options)
    assert accuracy(unanswerable, None, declined=True)
    assert not accuracy(unanswerable, None)
    assert not accuracy(unanswerable, "red")
    assert not accuracy(unanswerable, "red", True)
    assert not accuracy(ASKED, None, declined=True)
    assert not accuracy(CHOICE, None, True, declined=True)


@pytest.mark.parametrize("reward", [agar_released, agar_strict])
@pytest.mark.parametrize(
    ("group", "earned"),
    [
        ([DIRECT, ZOOMED, MISSED, WRONG, SILENT], (1.0, 0.8, 0.5, 0.1, 0.0)),  # somebody needed no zoom
        ([ZOOMED, MISSED, WRONG, SILENT], (1.0, 0.5, 0.1, 0.0)),  # all who are right zoomed
        ([MISSED, WRONG, SILENT], (0.5, 0.1, 0.0)),  # nobody is right
        ([DIRECT, DIRECT], (1.0, 1.0)),
        ([ZOOMED, ZOOMED], (1.0, 1.0)),
        ([DIRECT], (1.0,)), ([ZOOMED], (1.0,)), ([MISSED], (0.1,)), ([WRONG], (0.1,)), ([SILENT], (0.0,)),
        ([], ()),
    ],
)  # fmt: skip
def test_every_cell_of_the_table(reward: Any, group: list[Rollout], earned: tuple[float, ...]) -> None:
    assert reward(group) == earned


REFUSED = rollout(zoom=True, correct=True, shown=0)
REFUSED_WRONG = rollout(zoom=True, correct=False, shown=0)
GARBAGE = rollout(zoom=True, correct=False, format=False, shown=0)
NATIVE = Rollout(GOOD, "4", True, zooms=1)
"""Calls that are no text, as chat models with tools of their own make them."""
UNTAGGED = rollout(zoom=False, correct=True, format=False)
UNTAGGED_ZOOM = rollout(zoom=True, correct=True, format=False)
UNTAGGED_MISS = rollout(zoom=True, correct=False, format=False)


@pytest.mark.parametrize(
    ("group", "released", "strict"),
    [
        ([REFUSED, ZOOMED], (1.0, 1.0), (1.0, 0.8)),  # a refused call is no zoom
        ([REFUSED, DIRECT], (0.8, 1.0), (1.0, 1.0)),
        ([REFUSED_WRONG, WRONG], (0.5, 0.1), (0.1, 0.1)),  # nor does it pay
        ([GARBAGE, WRONG], (0.5, 0.1), (0.0, 0.1)),
        ([NATIVE, DIRECT], (1.0, 1.0), (0.8, 1.0)),
        ([UNTAGGED, ZOOMED], (1.0, 0.8), (0.0, 1.0)),  # an outcome of 0.9 is correct in the release
        ([UNTAGGED_ZOOM, DIRECT], (0.8, 1.0), (0.0, 1.0)),
        ([UNTAGGED_MISS, WRONG], (0.5, 0.1), (0.0, 0.1)),
        ([UNTAGGED], (0.9,), (0.0,)),
    ],
)
def test_where_the_strict_reward_differs(
    group: list[Rollout], released: tuple[float, ...], strict: tuple[float, ...]
) -> None:
    assert agar_released(group) == released
    assert agar_strict(group) == strict


@given(group=GROUPS, data=st.data())
def test_the_order_of_a_group_does_not_matter(group: list[Rollout], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(group))))
    for reward in REWARDS.values():
        earned = reward(group)
        assert reward([group[place] for place in order]) == tuple(earned[place] for place in order)


@given(group=GROUPS)
def test_rewards_are_between_nothing_and_one(group: list[Rollout]) -> None:
    for reward in REWARDS.values():
        earned = reward(group)
        assert len(earned) == len(group)
        assert all(0.0 <= one <= 1.0 for one in earned)
    right = [one for one, of in zip(agar_released(group), group, strict=True) if of.correct]
    assert all(one >= 0.8 for one in right)
    assert all(one == 0.0 for one, of in zip(agar_strict(group), group, strict=True) if not of.well_formed)
    if right:
        assert max(right) >= 0.9  # somebody earns all there is, but for a format that is wrong and alone
    if len(group) > 1:
        for one, other in product(range(len(group)), repeat=2):
            if group[one].correct and not group[other].correct:
                assert agar_released(group)[one] > agar_released(group)[other]


def test_rewards_go_by_name_and_stay() -> None:
    assert list(REWARDS) == ["outcome", "agar-released", "agar-strict"]
    with pytest.raises(TypeError):
        REWARDS["mine"] = outcome  # type: ignore[index]


def test_a_rollout_is_what_the_policy_itself_wrote() -> None:
    shouted = Prompts(task="Write <think></think> and <answer></answer>.", reminder="<answer> please <tool_call>")
    turns = (zoom(20, 20, 80, 80), zoom(900, 20, 80, 80), answer("4"))
    policy = scripted(*turns)
    policy = type(policy)(policy.model, policy.profile.model_copy(update={"prompts": shouted}), "script")
    run = ChainOfFocus(policy).ask(photo(), "Is it <think>4?").trajectory
    made = rollout_of(run, True)
    assert made == Rollout("\n".join(turns), "4", True, zooms=1)  # the second call was refused
    assert made.outcome == 1.0


def test_tags_in_a_question_make_no_format() -> None:
    run = ChainOfFocus(scripted("4", "4"), config=FocusConfig(max_turns=1)).ask(photo(), f"{GOOD}?").trajectory
    assert run.answer == "4"  # the closing turn takes plain text
    assert rollout_of(run, True).outcome == 0.9


def test_turns_before_the_question_do_not_count() -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    agent = ChainOfFocus(
        scripted(zoom(20, 20, 80, 80), answer("3"), "<answer>4</answer>"), checkpointer=InMemorySaver()
    )
    first = agent.ask(photo(), "First?")
    second = agent.ask(None, "Second?", thread_id=first.thread_id)
    assert rollout_of(first.trajectory, False).zooms == 1
    assert rollout_of(second.trajectory, True) == Rollout("<answer>4</answer>", "4", True, zooms=0)
