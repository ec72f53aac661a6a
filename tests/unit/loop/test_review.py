"""A person in the loop: asked before a zoom and at the end, from a graph, from Python, and in another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command
from pydantic import ValidationError

from cof_agent import (
    ChainOfFocus,
    ConfigError,
    Decision,
    DirectoryStore,
    FocusConfig,
    FocusResult,
    Profile,
    Request,
    Trajectory,
    ViewEvent,
    WaitingError,
    build_graph,
)
from cof_agent.images.geometry import Box, CoordinateSpace
from cof_agent.loop.graph import FocusGraph
from cof_agent.loop.looking import CHOSEN
from cof_agent.loop.state import Status, StopReason
from tests.support.conversations import answer, photo, scripted, texts, watched, zoom

pytestmark = pytest.mark.slow

THREAD: Any = {"configurable": {"thread_id": "1"}}
LOOK = zoom(10, 20, 60, 70, label="sign")
APPROVE, ELSEWHERE = {"decision": "approve"}, {"decision": "edit", "box": [300, 200, 400, 300]}
NO = {"decision": "reject", "reason": "the sign is on the left"}
AT_ZOOM, AT_END = FocusConfig(ask_before_zoom=True), FocusConfig(ask_at_end=True)


@pytest.fixture
def path(tmp_path: Path) -> str:
    photo().save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def begun(path: str, *turns: str, config: FocusConfig = AT_ZOOM, profile: Profile | None = None) -> FocusGraph:
    """A run that waits for a person."""
    graph = build_graph(scripted(*turns, profile=profile), config=config, checkpointer=InMemorySaver())
    assert "__interrupt__" in graph.invoke({"image": path, "question": "What is it?"}, THREAD)
    return graph


def request(graph: FocusGraph) -> dict[str, Any]:
    (waiting,) = graph.get_state(THREAD).interrupts
    return waiting.value


def boxes(state: dict[str, Any]) -> list[list[int]]:
    return [view["box"] for view in state["views"][1:]]


# In the graph


def test_what_a_person_is_asked_before_a_zoom(path: str) -> None:
    graph = begun(path, LOOK, answer("42"))
    assert request(graph) == {
        "schema": 1,
        "ask": "zoom",
        "question": "What is it?",
        "image": {"source": path, "width": 640, "height": 480},
        "image_index": 0,
        "image_count": 1,
        "thought": "I look closer.",
        "kind": "zoom",
        "label": "sign",
        "box": [9, 20, 60, 71],
        "region": [0, 7, 72, 83],
        "problem": None,
    }
    (waiting,) = graph.get_state(THREAD).interrupts
    assert waiting.response_schema is not None
    assert set(waiting.response_schema["properties"]) == {"decision", "box", "reason"}


def test_approved_it_shows_what_it_would_have_shown(path: str) -> None:
    end = begun(path, LOOK, answer("42")).invoke(Command(resume=APPROVE), THREAD)
    alone = ChainOfFocus(scripted(LOOK, answer("42"))).ask(path, "What is it?")
    assert (end["answer"], end["views"]) == ("42", [view.to_json() for view in alone.views])
    assert (end["usage"]["policy_calls"], end["usage"]["zooms"]) == (2, 1)


def test_edited_it_looks_there(path: str) -> None:
    end = begun(path, LOOK, answer("42")).invoke(Command(resume=ELSEWHERE), THREAD)
    (shown,) = boxes(end)
    assert Box(*shown).contains(Box(300, 200, 400, 300))
    assert Box(*shown).area < 3 * 100 * 100, "enlarged as the policy's own, not more"
    assert end["views"][1]["label"] == CHOSEN
    assert end["evidence"] == [{"view": 1, "box": shown, "source": "last_view", "image_index": 0}]


@pytest.mark.parametrize("space", list(CoordinateSpace))
def test_an_edited_box_is_in_original_pixels_whatever_the_policy_writes(path: str, space: CoordinateSpace) -> None:
    profile = Profile(coordinates=space, any_view=True)
    written = {CoordinateSpace.UNIT: (0.1, 0.1, 0.2, 0.2)}.get(space, (10, 20, 60, 70))
    graph = begun(path, zoom(*written), zoom(*written, view=1), answer("42"), profile=profile)
    graph.invoke(Command(resume=ELSEWHERE), THREAD)
    end = graph.invoke(Command(resume=ELSEWHERE), THREAD)
    first, second = boxes(end)
    assert first == second
    assert Box(*first).contains(Box(300, 200, 400, 300))


def test_rejected_the_policy_is_told_why_and_nothing_is_shown(path: str) -> None:
    end = begun(path, LOOK, answer("42")).invoke(Command(resume=NO), THREAD)
    assert (boxes(end), end["usage"]["zooms"], end["usage"]["refused"]) == ([], 0, 1)
    assert end["messages"][-2].text == "That call was refused: a person says: the sign is on the left."


def test_each_call_of_a_turn_is_asked_about_and_a_bad_one_never(path: str) -> None:
    graph = begun(path, zoom(1, 2, 9000, 40) + LOOK + zoom(100, 100, 160, 160), answer("42"))
    assert request(graph)["label"] == "sign"
    graph.invoke(Command(resume=NO), THREAD)
    assert request(graph)["label"] is None
    end = graph.invoke(Command(resume=APPROVE), THREAD)
    assert (end["answer"], len(boxes(end)), end["usage"]["refused"]) == ("42", 1, 2)


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        ({"decision": "maybe"}, "'approve', 'edit' or 'reject'"),
        ({"decision": "edit"}, 'goes with "edit"'),
        ({"decision": "edit", "box": [1, 2, 3]}, "at least 4"),
        ({"decision": "edit", "box": [60, 20, 10, 70]}, "is not a rectangle"),
        ({"decision": "approve", "box": [1, 2, 3, 4]}, "only with it"),
        ({"decision": "reject"}, "a reason goes with"),
        ({"decision": "reject", "reason": " "}, "a reason goes with"),
        ({"decision": "approve", "why": "so"}, "Extra inputs"),
        ("approve", "valid dictionary or instance of Decision"),
    ],
)
def test_a_bad_decision_is_the_hosts_own_error_and_can_be_made_again(path: str, decision: Any, why: str) -> None:
    graph = begun(path, LOOK, answer("42"))
    with pytest.raises(ValidationError, match=why):
        graph.invoke(Command(resume=decision), THREAD)
    assert graph.invoke(Command(resume=APPROVE), THREAD)["answer"] == "42"
    with pytest.raises(ConfigError, match=why):
        Decision.parse(decision)


@pytest.mark.parametrize(
    ("box", "why"), [([10, 10, 9999, 20], "outside the image of 640x480"), ([10, 10, 600, 11], "too thin")]
)
def test_a_box_that_cannot_be_shown_is_asked_about_again(path: str, box: list[int], why: str) -> None:
    graph = begun(path, LOOK, answer("42"), profile=Profile(zoom=Profile().zoom.__class__(max_aspect=20)))
    graph.invoke(Command(resume={"decision": "edit", "box": box}), THREAD)
    assert why in request(graph)["problem"]
    assert "name another" in request(graph)["problem"]
    end = graph.invoke(Command(resume=ELSEWHERE), THREAD)
    assert Box(*boxes(end)[0]).contains(Box(300, 200, 400, 300))


def test_at_the_end_a_person_lets_it_decline(path: str) -> None:
    graph = begun(path, answer("cannot answer: too dark"), config=AT_END)
    asked = request(graph)
    assert (asked["ask"], asked["status"], asked["stop_reason"], asked["message"]) == (
        "end", "declined", "declined", "too dark",
    )  # fmt: skip
    end = graph.invoke(Command(resume=APPROVE), THREAD)
    assert (end["status"], end["message"], end["answer"]) == ("declined", "too dark", None)


def test_at_the_end_it_tries_again_with_a_persons_advice(path: str) -> None:
    policy, prompts = watched(answer("cannot answer: too dark"), LOOK, answer("42"))
    graph = build_graph(policy, config=AT_END, checkpointer=InMemorySaver())
    graph.invoke({"image": path, "question": "What is it?"}, THREAD)
    graph.invoke(Command(resume=ELSEWHERE), THREAD)
    assert "no region to edit" in request(graph)["problem"]
    end = graph.invoke(Command(resume=NO), THREAD)
    assert (end["status"], end["answer"], end["usage"]["policy_calls"]) == ("answered", "42", 3)
    assert texts(prompts[1])[-1].startswith("the sign is on the left\n")
    run = Trajectory.from_state(end)
    assert (run.question, run.config["ask_at_end"]) == ("What is it?", True)


def test_each_time_the_limits_are_granted_once_more(path: str) -> None:
    no = answer("cannot answer: too small")
    turns = (LOOK + LOOK, no, LOOK + LOOK, no, LOOK, answer("42"))
    graph = begun(path, *turns, config=FocusConfig(max_zooms=1, ask_at_end=True))
    assert request(graph)["stop_reason"] == "zoom_limit"
    graph.invoke(Command(resume=NO), THREAD)
    assert request(graph)["stop_reason"] == "zoom_limit"
    assert graph.get_state(THREAD).values["usage"]["zooms"] == 2
    end = graph.invoke(Command(resume=NO), THREAD)
    assert (end["answer"], end["usage"]["zooms"], end["stop_reason"]) == ("42", 3, "answered")
    assert end["run"]["config"]["max_zooms"] == 1


def test_out_of_budget_a_person_is_asked_too(path: str) -> None:
    graph = begun(path, "hm", "", answer("42"), config=FocusConfig(max_turns=1, ask_at_end=True))
    assert request(graph)["status"] == "budget"
    assert "max_turns" in request(graph)["message"]
    assert graph.invoke(Command(resume=NO), THREAD)["answer"] == "42"


def test_the_next_question_has_its_own_limits_only(path: str) -> None:
    no = answer("cannot answer: too small")
    turns = (no, answer("42"), LOOK + LOOK, no)
    graph = begun(path, *turns, config=FocusConfig(max_zooms=1, ask_at_end=True))
    assert graph.invoke(Command(resume=NO), THREAD)["answer"] == "42"
    graph.invoke({"question": "And this?"}, THREAD)
    assert request(graph)["stop_reason"] == "zoom_limit"
    assert graph.get_state(THREAD).values["usage"]["zooms"] == 1


def test_a_policy_that_fails_asks_nobody(path: str) -> None:
    graph = build_graph(scripted(), config=AT_END, checkpointer=InMemorySaver())
    assert graph.invoke({"image": path, "question": "What is it?"}, THREAD)["status"] == "failed"


def test_without_a_checkpointer_nobody_is_asked_in_vain(path: str) -> None:
    for config in (AT_ZOOM, AT_END):
        with pytest.raises(ConfigError, match="need a checkpointer"):
            build_graph(scripted(LOOK), config=config).invoke({"image": path, "question": "What is it?"})


def test_time_travel_to_before_a_zoom_with_another_box(path: str) -> None:
    graph = build_graph(scripted(LOOK, answer("42")), checkpointer=InMemorySaver())
    first = graph.invoke({"image": path, "question": "What is it?"}, THREAD)
    before = next(state for state in graph.get_state_history(THREAD) if state.next == ("zoom",))
    turn = before.values["messages"][-1]
    (call,) = turn.tool_calls
    other = turn.model_copy(update={"tool_calls": [call | {"args": {"bbox_2d": [300, 200, 400, 300]}}]})
    fork = graph.update_state(before.config, {"messages": [other]})
    second = graph.invoke(None, fork)
    assert (second["answer"], second["usage"]["zooms"], second["usage"]["policy_calls"]) == ("42", 1, 2)
    assert boxes(first) != boxes(second)
    assert Box(*boxes(second)[0]).contains(Box(299, 202, 397, 302))


def test_time_travel_asks_again(path: str) -> None:
    graph = begun(path, LOOK, answer("42"))
    graph.invoke(Command(resume=APPROVE), THREAD)
    before = next(state for state in graph.get_state_history(THREAD) if state.next == ("zoom",))
    waits = graph.invoke(None, before.config)
    assert waits["__interrupt__"][0].value["box"] == [9, 20, 60, 71]
    end = graph.invoke(Command(resume=ELSEWHERE), THREAD)
    assert Box(*boxes(end)[0]).contains(Box(300, 200, 400, 300))


# Whoever resumes need not know the limits


def begun_in(context: FocusConfig | dict[str, Any], path: str, *turns: str) -> FocusGraph:
    graph = build_graph(scripted(*turns), checkpointer=InMemorySaver())
    limits: Any = context
    assert "__interrupt__" in graph.invoke({"image": path, "question": "What is it?"}, THREAD, context=limits)
    return graph


UNSAID: list[Any] = [None, {}, {"max_zooms": 3}, AT_ZOOM.model_copy(update={"ask_before_zoom": False})]


@pytest.mark.parametrize("context", UNSAID)
def test_a_decision_counts_in_whatever_context_it_comes(path: str, context: Any) -> None:
    end = begun_in(AT_ZOOM, path, LOOK, answer("42")).invoke(Command(resume=NO), THREAD, context=context)
    assert (end["answer"], boxes(end), end["usage"]["zooms"]) == ("42", [], 0)
    end = begun_in(AT_ZOOM, path, LOOK, answer("42")).invoke(Command(resume=ELSEWHERE), THREAD, context=context)
    assert Box(*boxes(end)[0]).contains(Box(300, 200, 400, 300))
    end = begun_in(AT_END, path, answer("cannot answer"), answer("42")).invoke(
        Command(resume=NO), THREAD, context=context
    )
    assert (end["answer"], end["status"]) == ("42", "answered")


def test_a_run_that_waits_goes_on_under_the_limits_that_its_context_gave(path: str) -> None:
    graph = begun_in({"ask_before_zoom": True, "max_zooms": 1}, path, LOOK, LOOK, answer("42"))
    assert "__interrupt__" in graph.invoke(None, THREAD), "it is asked about again"
    with pytest.raises(ValueError, match="Decision"):
        graph.invoke(Command(resume="garbage"), THREAD)
    end = graph.invoke(Command(resume=APPROVE), THREAD)
    assert (end["usage"]["zooms"], end["stop_reason"]) == (1, "zoom_limit")


def test_gone_back_to_in_a_context_that_asks_it_is_resumed_without(path: str) -> None:
    graph = build_graph(scripted(LOOK, LOOK, answer("42")), checkpointer=InMemorySaver())
    graph.invoke({"image": path, "question": "What is it?"}, THREAD)
    before = [state for state in graph.get_state_history(THREAD) if state.next == ("zoom",)][-1]
    assert "__interrupt__" in graph.invoke(None, before.config, context=AT_ZOOM)
    end = graph.invoke(Command(resume=NO), THREAD)
    assert (end["answer"], end["usage"]["zooms"]) == ("42", 1), "the second zoom is asked about by nobody"


# From Python


def agent(*turns: str, config: FocusConfig | None = AT_ZOOM, **options: Any) -> ChainOfFocus:
    return ChainOfFocus(scripted(*turns), config=config, checkpointer=InMemorySaver(), **options)


def test_a_stream_ends_with_the_request_and_a_resumed_one_with_the_result(tmp_path: Path) -> None:
    asking = agent(LOOK, answer("42"), save=tmp_path)
    *views, waits = asking.stream(photo(), "What is it?", thread_id="1")
    assert [type(view) for view in views] == [ViewEvent]
    assert isinstance(waits, Request)
    assert (waits.ask, waits.thread_id, waits.thought, waits.label) == ("zoom", "1", "I look closer.", "sign")
    assert waits.describe() == "zoom “sign” into [9, 20, 60, 71]?"
    assert not (tmp_path / "trajectories.jsonl").read_text()
    *views, end = asking.stream_resumed("1", Decision(decision="approve"))
    assert [view.view.index for view in views if isinstance(view, ViewEvent)] == [1]
    assert isinstance(end, FocusResult)
    assert (end.answer, end.thread_id) == ("42", "1")
    assert (tmp_path / "trajectories.jsonl").read_text().count("\n") == 1


def test_ask_says_that_somebody_is_waited_for() -> None:
    asking = agent(LOOK, zoom(100, 100, 160, 160), answer("42"))
    with pytest.raises(WaitingError, match=r"zoom “sign” into .*resume\('1', decision\)"):
        asking.ask(photo(), "What is it?", thread_id="1")
    with pytest.raises(WaitingError, match=r"zoom into"):
        asking.resume("1", ELSEWHERE)
    end = asking.resume("1", NO)
    assert (end.answer, len(end.views), end.usage.refused) == ("42", 2, 1)


async def test_the_same_for_asyncio() -> None:
    asking = agent(answer("cannot answer: too dark"), answer("42"), config=AT_END)
    with pytest.raises(WaitingError, match="end as declined"):
        await asking.aask(photo(), "What is it?", thread_id="1")
    end = await asking.aresume("1", NO)
    assert (end.answer, end.stop_reason) == ("42", StopReason.ANSWERED)


async def test_a_resumed_stream_for_asyncio() -> None:
    asking = agent(LOOK, zoom(100, 100, 160, 160), answer("42"))
    *_, waits = [event async for event in asking.astream(photo(), "What is it?", thread_id="1")]
    assert isinstance(waits, Request)
    *views, waits = [event async for event in asking.astream_resumed("1", APPROVE)]
    assert [view.view.index for view in views if isinstance(view, ViewEvent)] == [1]
    assert isinstance(waits, Request)
    *views, end = [event async for event in asking.astream_resumed("1", APPROVE)]
    assert [view.view.index for view in views if isinstance(view, ViewEvent)] == [2]
    assert isinstance(end, FocusResult)
    assert end.answer == "42"
    with pytest.raises(ConfigError, match="no run to go on with"):
        await anext(asking.astream_resumed("1"))


def test_a_resumed_run_keeps_the_limits_that_it_began_under() -> None:
    asking = agent(LOOK, LOOK, answer("42"), config=None)
    with pytest.raises(WaitingError):
        asking.ask(photo(), "What is it?", thread_id="1", config=FocusConfig(ask_before_zoom=True, max_zooms=1))
    assert asking.resume("1", APPROVE).stop_reason is StopReason.ZOOM_LIMIT


def test_a_run_that_was_cut_short_is_resumed_by_another_agent(tmp_path: Path) -> None:
    turns, store = (LOOK, zoom(100, 100, 160, 160), answer("42")), DirectoryStore(tmp_path / "images")
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as saver:
        first = ChainOfFocus(scripted(*turns), store=store, checkpointer=saver)
        for event in first.stream(photo(), "What is it?", thread_id="1"):
            if isinstance(event, ViewEvent) and event.view.index == 1:
                break
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as saver:
        second = ChainOfFocus(scripted(*turns), store=store, checkpointer=saver)
        end = second.resume("1")
        assert (end.answer, end.usage.zooms, end.usage.policy_calls) == ("42", 2, 3)
        with pytest.raises(ConfigError, match="no run to go on with"):
            second.resume("1")


def test_what_cannot_be_resumed() -> None:
    asking = agent(LOOK, answer("42"))
    with pytest.raises(ConfigError, match="'nowhere' has no run to go on with"):
        asking.resume("nowhere")
    with pytest.raises(WaitingError):
        asking.ask(photo(), "What is it?", thread_id="1")
    with pytest.raises(ConfigError, match=r"the decision is not valid at decision: .*given: 'maybe'"):
        asking.resume("1", {"decision": "maybe"})
    with pytest.raises(ConfigError, match="needs a checkpointer"):
        ChainOfFocus(scripted()).resume("1")
    for event in agent(LOOK, answer("42"), config=None).stream(photo(), "?", thread_id="1"):
        assert isinstance(event, ViewEvent | FocusResult)


def test_a_decision_that_nobody_waits_for(path: str) -> None:
    asking = agent(LOOK, answer("42"), config=None)
    for part in asking.graph.stream({"image": path, "question": "?"}, THREAD, stream_mode="updates"):
        if "reason" in part:
            break
    with pytest.raises(ConfigError, match="waits for nobody"):
        asking.resume("1", APPROVE)


async def test_a_batch_asks_nobody() -> None:
    with pytest.raises(ConfigError, match="a batch asks nobody"):
        await agent(LOOK, answer("42")).abatch([(photo(), "What is it?")])


def test_a_request_is_rebuilt_from_json() -> None:
    with pytest.raises(ConfigError, match="no request of schema 1"):
        Request.from_json({"schema": 2, "ask": "zoom"})


def test_a_new_question_leaves_the_request_behind() -> None:
    asking = agent(LOOK, answer("42"))
    with pytest.raises(WaitingError):
        asking.ask(photo(), "What is it?", thread_id="1")
    end = asking.ask(None, "And now?", thread_id="1")
    assert (end.status, end.answer) == (Status.ANSWERED, "42")
    assert "a new question came first" in end.trajectory.turns[2].text
