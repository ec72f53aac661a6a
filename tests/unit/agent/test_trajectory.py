from __future__ import annotations

import json
import logging
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from cof_agent import (
    ChainOfFocus,
    DirectoryStore,
    FocusConfig,
    MemoryStore,
    Policy,
    Profile,
    Trajectory,
    TrajectoryError,
    read_trajectories,
    save_trajectory,
)
from cof_agent.agent import FocusResult
from cof_agent.agent.trajectory import messages_of
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import BOTH, answer, crop, photo, scripted, zoom

pytestmark = pytest.mark.slow

RUNS = {
    "at once": (answer("42"),),
    "zooms": (zoom(1, 2, 30, 40, label="a “sign” – ✓"), crop(10, 20, 300, 200), answer('{"bbox_2d": [1, 2, 30, 40]}')),
    "refused": (zoom(1, 2, 9000, 40) + "<tool_call>{</tool_call>", "hm", zoom("nan", 1, 2, 3)),
    "declines": (answer("cannot answer: too dark"),),
    "fails": (zoom(1, 2, 30, 40),),
    "odd": (zoom(1, 2, 10**30, 40, label="\ud800"), "<tool_call>[NaN, {'name'", "\udfff", answer("42\ud800")),
}


def ask(*turns: str, **settings: Any) -> FocusResult:
    return ChainOfFocus(scripted(*turns, profile=BOTH), **settings).ask(photo(), "What is it?")


def again(trajectory: Trajectory) -> Trajectory:
    return Trajectory.from_json(json.loads(json.dumps(trajectory.to_json())))


@pytest.mark.parametrize("name", RUNS)
def test_load_of_dump_is_the_same(name: str, tmp_path: Path) -> None:
    result = ask(*RUNS[name], save=tmp_path)
    assert again(result.trajectory) == result.trajectory
    assert list(read_trajectories(tmp_path)) == [result.trajectory]


TEXT = st.text(st.characters())
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(st.none() | st.booleans() | TEXT | NUMBERS, lambda inner: st.lists(inner, max_size=3))


@given(
    TEXT,
    st.none() | TEXT,
    st.none() | st.lists(st.integers(0, 2**40)).map(tuple),
    st.none() | st.lists(st.floats(allow_nan=False)).map(tuple),
    st.dictionaries(TEXT, VALUES, max_size=3),
)
def test_load_of_dump_is_the_same_for_any_values(
    question: str, said: str | None, token_ids: Any, logprobs: Any, args: dict[str, Any]
) -> None:
    base = BASE.trajectory
    policy = next(turn for turn in base.turns if turn.calls)
    call = policy.calls[0].model_copy(update={"args": args})
    turn = policy.model_copy(update={"calls": (call,), "text": question, "token_ids": token_ids, "logprobs": logprobs})
    trajectory = base.model_copy(update={"question": question, "answer": said, "turns": (*base.turns, turn)})
    assert again(trajectory) == trajectory
    assert again(trajectory).id == trajectory.id


BASE = ask(*RUNS["zooms"])


def test_it_holds_the_whole_run() -> None:
    run = BASE.trajectory
    assert (run.question, run.policy, run.dialect, run.tools) == ("What is it?", "script", "cof", BOTH.tools)
    assert run.prompts == BOTH.prompts.digest
    assert run.config["max_zooms"] == 6
    assert {"cof-agent", "langgraph", "pillow"} <= run.versions.keys()
    assert run.started <= run.finished
    assert [turn.role for turn in run.turns] == ["user", "policy", "tool", "policy", "tool", "policy"]
    assert [turn.views for turn in run.turns] == [(0,), (), (1,), (), (2,), ()]
    assert run.turns[1].text == RUNS["zooms"][0]
    assert run.turns[1].calls[0].args == {"bbox_2d": [1, 2, 30, 40], "label": "a “sign” – ✓"}
    assert run.turns[2].call_id == run.turns[1].calls[0].id
    assert [view.index for view in run.zooms] == [1, 2]
    assert run.evidence[0].source == "policy"
    json.dumps(run.to_json(), allow_nan=False)


def test_unreadable_calls_keep_their_place() -> None:
    run = ask("<tool_call>{</tool_call>" + zoom(1, 2, 30, 40) + "<tool_call>}</tool_call>", answer("42")).trajectory
    assert [call.error is None for call in run.turns[1].calls] == [False, True, False]
    assert [turn.call_id for turn in run.turns[2:5]] == [call.id for call in run.turns[1].calls]
    assert [turn.refused for turn in run.turns[2:5]] == [True, False, True]


def test_it_can_be_taken_from_any_checkpointed_run() -> None:
    for turns in RUNS.values():
        agent = ChainOfFocus(scripted(*turns, profile=BOTH), checkpointer=InMemorySaver())
        result = agent.ask(photo(), "What is it?")
        state = agent.graph.get_state({"configurable": {"thread_id": result.thread_id}}).values
        assert Trajectory.from_state(state) == result.trajectory
    with pytest.raises(TrajectoryError, match="has not ended"):
        Trajectory.from_state({})


@pytest.mark.parametrize("name", RUNS)
def test_usage_and_evidence_are_as_state_has_them(name: str) -> None:
    agent = ChainOfFocus(scripted(*RUNS[name], profile=BOTH), checkpointer=InMemorySaver())
    result = agent.ask(photo(), "What is it?")
    state = agent.graph.get_state({"configurable": {"thread_id": result.thread_id}}).values
    kept = result.trajectory.to_json()
    assert [json.dumps(kept[part]) for part in ("usage", "evidence")] == [
        json.dumps(state[part]) for part in ("usage", "evidence")
    ]
    told = agent.graph.get_output_jsonschema()["$defs"]
    assert [*told["Usage"]["properties"]] == [*state["usage"]]
    assert all([*told["Evidence"]["properties"]] == [*item] for item in state["evidence"])


class SamplingModel(ScriptedModel):
    """Knows its tokens, as a model that is trained does."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._generate(messages, *args, **kwargs)
        message = result.generations[0].message
        message.response_metadata = {"token_ids": [5, 6, 7], "logprobs": [-0.1, -math.inf, 0.0]}
        message.usage_metadata = {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14}
        return result


def test_token_ids_logprobs_and_counts_are_kept(tmp_path: Path) -> None:
    model = SamplingModel(turns=["<tool_call>{</tool_call>" + zoom(1, 2, 30, 40), answer("42")])
    result = ChainOfFocus(Policy(model, Profile(), "sampling"), save=tmp_path).ask(photo(), "What is it?")
    for turn in result.trajectory.turns:
        known = ((5, 6, 7), (-0.1, -math.inf, 0.0)) if turn.role == "policy" else (None, None)
        assert (turn.token_ids, turn.logprobs) == known
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (22, 6)
    assert list(read_trajectories(tmp_path)) == [result.trajectory]


class Told(BaseModel):
    colour: str


BACK: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    **{name: (turns, {}) for name, turns in RUNS.items()},
    "unreadable among readable": (("<tool_call>{</tool_call>" + zoom(1, 2, 30, 40) + "<tool_call>}</tool_call>",), {}),
    "closing turn": ((zoom(1, 2, 30, 40), zoom(1, 2, 60, 60), answer("42")), {"config": FocusConfig(max_zooms=1)}),
    "looks too late": ((answer("42"), zoom(1, 2, 30, 40), answer("42")), {"config": FocusConfig(min_zooms=1)}),
    "answer that does not fit": ((answer("red"), answer('{"colour": "red"}')), {"schema": Told}),
}


@pytest.mark.parametrize("name", BACK)
def test_its_messages_are_those_it_was_taken_from(name: str) -> None:
    turns, given = BACK[name]
    schema = given.get("schema")
    agent = ChainOfFocus(
        scripted(*turns, answer("else"), profile=BOTH), config=given.get("config"), checkpointer=InMemorySaver()
    )
    results = [agent.ask(photo(), "What is it?", schema=schema)]
    thread = results[0].thread_id
    if not schema:  # what an earlier question was, apart from its schema, a trajectory does not tell
        results.append(agent.ask(None, "And what else?", thread_id=thread))
    state = agent.graph.get_state({"configurable": {"thread_id": thread}}).values
    for result in results:
        back = messages_of(again(result.trajectory), BOTH.prompts)
        kept = state["messages"][: len(result.trajectory.turns)]
        assert [*map(lasting, back)] == [*map(lasting, kept)]
    assert Trajectory.from_state(state | {"messages": back}) == results[-1].trajectory


def lasting(message: BaseMessage) -> dict[str, Any]:
    """All of a message but its id and the words of unreadable calls, which are in its text too."""
    value = message.model_dump(exclude={"id"})
    return value | {"invalid_tool_calls": [call | {"args": ""} for call in value.get("invalid_tool_calls", ())]}


def test_messages_have_the_tokens_that_the_policy_knew() -> None:
    model = SamplingModel(turns=[zoom(1, 2, 30, 40), answer("42")])
    trajectory = ChainOfFocus(Policy(model, Profile(), "sampling")).ask(photo(), "What is it?").trajectory
    said = [message for message in messages_of(trajectory, Profile().prompts) if message.type == "ai"]
    known = {"token_ids": [5, 6, 7], "logprobs": [-0.1, -math.inf, 0.0]}
    assert [message.response_metadata for message in said] == [known, known]


def test_saving_appends_a_line_and_keeps_each_image_once(tmp_path: Path) -> None:
    agent = ChainOfFocus(scripted(*RUNS["zooms"], profile=BOTH), save=tmp_path / "deep" / "er")
    first, second = agent.ask(photo(), "What is it?"), agent.ask(photo(), "What is it again?")
    assert first.saved == second.saved == tmp_path / "deep" / "er" / "trajectories.jsonl"
    lines = first.saved.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["question"] for line in lines] == ["What is it?", "What is it again?"]
    assert "“sign” – ✓" in lines[0], "readable for people"
    files = sorted(path.stem for path in (first.saved.parent / "images").iterdir())
    assert files == sorted({ref.sha256 for ref in first.trajectory.image_refs})
    kept = DirectoryStore(first.saved.parent / "images")
    assert all(kept.get(ref) == agent.store.get(ref) for ref in first.trajectory.image_refs)


def test_a_torn_last_line_harms_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        path = save_trajectory(BASE.trajectory, tmp_path, BASE.store)
    whole = path.read_bytes()
    line = whole.splitlines(keepends=True)[0]
    for cut in (1, 100, line.index("“".encode()) + 1, len(line) - 2):
        path.write_bytes(whole + line[:cut])
        with caplog.at_level(logging.WARNING):
            assert list(read_trajectories(path)) == [BASE.trajectory] * 2
        assert f"{path} line 3 is torn" in caplog.text
        caplog.clear()
        save_trajectory(BASE.trajectory, tmp_path, BASE.store)
        assert path.read_bytes() == whole + line[:cut] + b"\n" + line
        assert list(read_trajectories(path)) == [BASE.trajectory] * 3
        assert "line 3 is torn" in caplog.text
        caplog.clear()
    path.write_bytes(whole + line[:-1])  # only the line's end is missing
    save_trajectory(BASE.trajectory, tmp_path, BASE.store)
    assert len(list(read_trajectories(path))) == 4
    assert not caplog.text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[1]", "a trajectory is a JSON object, not list"),
        ("5", "a trajectory is a JSON object, not int"),
        ("{}", "schema None; this version reads schema 1"),
        (json.dumps(BASE.trajectory.to_json() | {"schema": 2}), "schema 2; this version reads schema 1"),
        (json.dumps(BASE.trajectory.to_json() | {"status": "asleep"}), "not a trajectory: status"),
        (json.dumps(BASE.trajectory.to_json() | {"more": 1}), "not a trajectory: more"),
        (json.dumps(BASE.trajectory.to_json() | {"views": [{"schema": 1}]}), r"not a trajectory: views\.0"),
        (json.dumps({k: v for k, v in BASE.trajectory.to_json().items() if k != "usage"}), "not a trajectory: usage"),
    ],
)
def test_a_whole_line_that_is_no_trajectory_is_refused(tmp_path: Path, line: str, why: str) -> None:
    path = save_trajectory(BASE.trajectory, tmp_path, BASE.store)
    with path.open("a") as file:
        file.write(line + "\n")
    found = read_trajectories(path)
    assert next(found) == BASE.trajectory
    with pytest.raises(TrajectoryError, match=why) as caught:
        next(found)
    assert f"{path} line 2:" in str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match=r"nowhere\.jsonl cannot be read"):
        list(read_trajectories(tmp_path / "nowhere.jsonl"))
    with pytest.raises(TrajectoryError, match=r"trajectories\.jsonl cannot be read"):
        list(read_trajectories(tmp_path))


@pytest.mark.parametrize("blocked", ["", "images", "trajectories.jsonl"])
def test_what_cannot_be_written_is_named(tmp_path: Path, blocked: str) -> None:
    directory = tmp_path / "runs"
    if blocked == "trajectories.jsonl":
        (directory / blocked).mkdir(parents=True)
    elif blocked:
        directory.mkdir()
        (directory / blocked).touch()
    else:
        directory.touch()
    with pytest.raises(TrajectoryError, match="cannot save a trajectory under") as caught:
        save_trajectory(BASE.trajectory, directory, BASE.store)
    assert str(directory) in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_directory_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(TrajectoryError, match="Permission denied"):
        save_trajectory(BASE.trajectory, tmp_path, BASE.store)


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match=rf"{BASE.trajectory.image.sha256} is not in MemoryStore"):
        save_trajectory(BASE.trajectory, tmp_path, MemoryStore())
    assert not (tmp_path / "trajectories.jsonl").exists()


def test_a_source_with_an_odd_name_is_saved(tmp_path: Path) -> None:
    image = BASE.trajectory.image.model_copy(update={"source": os.fsdecode(b"\xff.png")})
    odd = BASE.trajectory.model_copy(update={"image": image})
    path = save_trajectory(odd, tmp_path, BASE.store)
    path.read_text(encoding="utf-8")
    assert list(read_trajectories(path)) == [odd]


def test_its_id_is_the_same_on_disk_and_no_other_runs(tmp_path: Path) -> None:
    pair = BASE.trajectory.model_copy(update={"question": "\ud83d\ude00"})  # read back, it is one character
    path = save_trajectory(pair, tmp_path, BASE.store)
    assert [run.id for run in read_trajectories(path)] == [pair.id]
    later = BASE.trajectory.model_copy(update={"finished": "later"})
    assert len({pair.id, later.id, BASE.trajectory.id}) == 3
