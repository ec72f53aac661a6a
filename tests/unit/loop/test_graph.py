from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

from cof_agent import (
    ChainOfFocus,
    ConfigError,
    FocusConfig,
    ImageError,
    ImageLimits,
    MemoryStore,
    Policy,
    PolicyError,
    Profile,
    StoreError,
    ViewEvent,
    build_graph,
    open_image,
    perception_node,
)
from cof_agent.agent import FocusResult
from cof_agent.agent.trajectory import Trajectory
from cof_agent.images.views import keep_original
from cof_agent.loop.state import Status, StopReason
from cof_agent.policies.calling import acall, call
from cof_agent.policies.deadline import OutOfTimeError
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import (
    BOTH,
    WatchedModel,
    answer,
    crop,
    images,
    photo,
    scripted,
    slow,
    texts,
    watched,
    zoom,
)
from tests.support.conversations import call as written
from tests.support.patience import PATIENCE, TIMES

PROMPTS = Profile().prompts
BAD = zoom(1, 2, 9000, 40)
LOOK = zoom(10, 20, 60, 70)


def ask(*turns: str, profile: Profile | None = None, **limits: Any) -> FocusResult:
    agent = ChainOfFocus(scripted(*turns, profile=profile), config=FocusConfig(**limits))
    return agent.ask(photo(), "What is it?")


def ended(result: FocusResult) -> tuple[Status, StopReason, str | None]:
    return result.status, result.stop_reason, result.answer


def observations(result: FocusResult) -> list[str]:
    return [turn.text for turn in result.trajectory.turns if turn.role == "tool"]


# How a run goes and ends


def test_answered_at_the_first_look() -> None:
    result = ask(answer("42"))
    assert ended(result) == (Status.ANSWERED, StopReason.ANSWERED, "42")
    assert (result.evidence, result.message, len(result.views)) == ((), None, 1)
    usage = result.usage
    assert (usage.policy_calls, usage.zooms, usage.refused, usage.visual_tokens) == (1, 0, 0, 23 * 17)
    assert (usage.prompt_tokens, usage.completion_tokens) == (0, 0)
    assert 0 < usage.seconds < PATIENCE


@pytest.mark.parametrize(
    ("turns", "limits", "reason", "why"),
    [
        ([LOOK, "Hm."], {}, StopReason.NOT_MENDED, "no call that can be read"),
        ([LOOK, "<tool_call>{</tool_call>"], {}, StopReason.NOT_MENDED, "no call that can be read"),
        ([answer("42")], {"min_zooms": 1}, StopReason.NOT_MENDED, "no answer that counts"),
        ([LOOK, LOOK], {"max_turns": 2}, StopReason.TURN_LIMIT, r"2 turns \(max_turns\)"),
    ],
)
def test_with_the_trainers_loop_nothing_is_mended_and_no_last_answer_is_asked_for(
    turns: list[str], limits: dict[str, Any], reason: StopReason, why: str
) -> None:
    result = ask(*turns, trainer_loop=True, **limits)
    assert ended(result) == (Status.BUDGET, reason, None)
    assert re.search(f"{why}.*, and nothing more was asked", result.message or "")
    assert (result.usage.policy_calls, result.usage.zooms) == (len(turns), len(turns) - 1)


def test_answered_after_zooms() -> None:
    result = ask(LOOK, zoom(100, 100, 160, 160), answer("42"))
    assert ended(result) == (Status.ANSWERED, StopReason.ANSWERED, "42")
    assert (result.usage.zooms, result.usage.policy_calls) == (2, 3)
    assert result.usage.visual_tokens == sum(view.tokens for view in result.views)
    assert result.view_image(1).size == result.views[1].shown


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("cannot answer: it is too dark", "it is too dark"),
        ("Cannot answer – no text.", "no text"),
        ("CANNOT ANSWER", "the policy says that the image cannot tell"),
    ],
)
def test_declined_with_the_policys_reason(said: str, why: str) -> None:
    result = ask(LOOK, answer(said))
    assert ended(result) == (Status.DECLINED, StopReason.DECLINED, None)
    assert (result.message, result.evidence) == (why, ())


def test_several_calls_of_a_turn_run_in_order_one_a_step() -> None:
    turn = BAD + zoom(1, 2, 30, 40, label="a") + "<tool_call>{</tool_call>" + crop(5, 6, 70, 80) + LOOK
    graph = build_graph(scripted(turn, answer("42"), profile=BOTH))
    updates = list(graph.stream({"image": data_url(), "question": "What is it?"}, stream_mode="updates"))
    assert [next(iter(update)) for update in updates] == ["observe", "reason", *["zoom"] * 5, "reason", "answer"]
    observed = [update["zoom"]["messages"] for update in updates if "zoom" in update]
    assert all(len(messages) == 1 for messages in observed)
    said = [messages[0].text for messages in observed]
    assert "outside" in said[0]
    assert said[1] == "View 1: a"
    assert "JSON object" in said[2]
    assert said[3:] == ["View 2", "View 3"]
    calls = updates[1]["reason"]["messages"][0]
    by_id = {call["id"] for call in [*calls.tool_calls, *calls.invalid_tool_calls]}
    assert len(by_id) == 5
    assert {messages[0].tool_call_id for messages in observed} == by_id


def test_calls_come_before_an_answer_in_the_same_turn() -> None:
    result = ask(LOOK + "<answer>7</answer>", answer("42"))
    assert (result.answer, result.usage.zooms) == ("42", 1)


def test_a_turn_that_says_nothing_is_asked_again() -> None:
    policy, prompts = watched("hm", answer("42"))
    result = ChainOfFocus(policy).ask(photo(), "What is it?")
    assert ended(result) == (Status.ANSWERED, StopReason.ANSWERED, "42")
    assert result.usage.refused == 1
    assert texts(prompts[1])[-1] == PROMPTS.format_error


# Limits


def test_the_zoom_limit_brings_the_closing_turn() -> None:
    policy, prompts = watched(LOOK, LOOK, LOOK, "It is 42.")
    result = ChainOfFocus(policy, config=FocusConfig(max_zooms=2)).ask(photo(), "What is it?")
    assert ended(result) == (Status.ANSWERED, StopReason.ZOOM_LIMIT, "It is 42."), "plain text counts when closing"
    assert (result.usage.zooms, result.usage.refused) == (2, 0)
    assert observations(result)[-1] == "That call was refused: no more regions can be shown."
    assert texts(prompts[-1])[-1].strip() == PROMPTS.closing
    assert result.evidence[0].source == "last_view"


def test_the_calls_that_exceed_a_limit_are_refused_in_one_step() -> None:
    graph = build_graph(scripted(LOOK * 60, answer("42")))
    updates = list(graph.stream({"image": data_url(), "question": "What is it?"}, stream_mode="updates"))
    steps = [update["zoom"] for update in updates if "zoom" in update]
    assert len(steps) == 7
    assert len(steps[-1]["messages"]) == 54
    assert updates[-1]["answer"]["stop_reason"] == "zoom_limit"


def test_a_call_in_the_closing_turn_is_not_run() -> None:
    result = ask(LOOK, LOOK, LOOK, max_zooms=1)
    assert ended(result) == (Status.BUDGET, StopReason.ZOOM_LIMIT, None)
    assert "limit of 1 zooms (max_zooms) was reached" in (result.message or "")
    assert (result.usage.zooms, result.usage.policy_calls, result.evidence) == (1, 3, ())
    assert result.trajectory.turns[-1].text == LOOK, "verbatim"
    assert result.trajectory.turns[-1].calls == ()


def test_a_policy_may_decline_in_the_closing_turn() -> None:
    result = ask(LOOK, LOOK, answer("cannot answer: no"), max_zooms=1)
    assert ended(result) == (Status.DECLINED, StopReason.ZOOM_LIMIT, None)


def test_without_zooms_no_tool_is_offered() -> None:
    policy, prompts = watched(answer("42"))
    ChainOfFocus(policy, config=FocusConfig(max_zooms=0)).ask(photo(), "What is it?")
    assert texts(prompts[0])[0] == PROMPTS.direct
    result = ask(LOOK, answer("42"), max_zooms=0)
    assert (result.stop_reason, result.answer, len(result.views)) == (StopReason.ZOOM_LIMIT, "42", 1)
    policy, prompts = watched(answer("42"), profile=Profile(tools=()))
    ChainOfFocus(policy).ask(photo(), "What is it?")
    assert texts(prompts[0])[0] == PROMPTS.direct


def test_the_turn_limit_still_shows_what_the_last_turn_asked_for() -> None:
    policy, prompts = watched(LOOK, LOOK, answer("42"))
    result = ChainOfFocus(policy, config=FocusConfig(max_turns=2)).ask(photo(), "What is it?")
    assert ended(result) == (Status.ANSWERED, StopReason.TURN_LIMIT, "42")
    assert (result.usage.zooms, result.usage.policy_calls, images(prompts[-1])) == (2, 3, 3)


def test_the_limit_of_visual_tokens_refuses_the_region() -> None:
    result = ask(zoom(0, 0, 300, 300), zoom(0, 0, 600, 400), answer("42"), max_visual_tokens=2000)
    assert ended(result) == (Status.ANSWERED, StopReason.TOKEN_LIMIT, "42")
    assert result.usage.zooms == 1
    assert re.search(r"would cost \d+ visual tokens and \d+ are left", observations(result)[1])
    assert ask(zoom(0, 0, 300, 300), answer("42"), max_visual_tokens=10).usage.zooms == 0
    budget = ask(zoom(0, 0, 300, 300), LOOK, max_visual_tokens=10)
    assert "max_visual_tokens" in (budget.message or "")


def test_three_refused_calls_in_a_row_bring_the_closing_turn() -> None:
    for turns in ((BAD, BAD, BAD), (BAD * 3,), (BAD * 50,), ("hm", BAD, "hm"), (BAD * 2, "<tool_call>{")):
        policy, prompts = watched(*turns, answer("42"))
        result = ChainOfFocus(policy).ask(photo(), "What is it?")
        assert ended(result) == (Status.ANSWERED, StopReason.REFUSED_LIMIT, "42")
        assert result.usage.refused == 3
        assert texts(prompts[-1])[-1].strip() == PROMPTS.closing


def test_a_good_call_starts_the_count_of_refused_ones_anew() -> None:
    result = ask(BAD, BAD, LOOK, BAD, "hm", answer("42"))
    assert ended(result) == (Status.ANSWERED, StopReason.ANSWERED, "42")
    assert result.usage.refused == 4


@pytest.mark.parametrize("sync", [True, False])
def test_a_slow_policy_is_cut_off_and_asked_for_its_last_answer(sync: bool) -> None:
    def run(agent: ChainOfFocus) -> FocusResult:
        return agent.ask(photo(), "What?") if sync else asyncio.run(agent.aask(photo(), "What?"))

    for seconds in TIMES:
        whole = seconds + PATIENCE
        config = FocusConfig(max_seconds=whole, closing_share=PATIENCE / whole)
        result = run(ChainOfFocus(slow(answer("42"), closes=True), config=config))
        assert ended(result) == (Status.ANSWERED, StopReason.TIME_LIMIT, "42")
        assert seconds <= result.usage.seconds < whole
        if result.usage.policy_calls == 2:  # else the photo had taken all of the time
            break
    assert result.usage.policy_calls == 2
    result = run(ChainOfFocus(slow(answer("42")), config=FocusConfig(max_seconds=1.0, closing_share=0.5)))
    assert ended(result) == (Status.BUDGET, StopReason.TIME_LIMIT, None)
    assert "did not reply within" in (result.message or "")
    assert 1.0 <= result.usage.seconds < PATIENCE


class FailingModel(ScriptedModel):
    error: Any

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        if any(isinstance(message, AIMessage) for message in messages):
            raise self.error
        return super()._generate(messages, *args, **kwargs)


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("error", [TimeoutError("mine"), RuntimeError("out of memory"), PolicyError("no weights")])
def test_a_policy_that_fails_keeps_its_trajectory(error: Exception, sync: bool, tmp_path: Path) -> None:
    policy = Policy(FailingModel(turns=[LOOK], error=error), Profile(), "failing")
    agent = ChainOfFocus(policy, save=tmp_path)
    result = agent.ask(photo(), "What?") if sync else asyncio.run(agent.aask(photo(), "What?"))
    assert ended(result) == (Status.FAILED, StopReason.POLICY_ERROR, None)
    assert result.message == (str(error) if isinstance(error, PolicyError) else f"{type(error).__name__}: {error}")
    assert (len(result.views), result.usage.zooms, result.usage.policy_calls) == (2, 1, 2)
    assert [turn.role for turn in result.trajectory.turns] == ["user", "policy", "tool"]
    assert json.loads((tmp_path / "trajectories.jsonl").read_text())["status"] == "failed"


def test_the_call_that_has_no_time_is_not_made() -> None:
    model = WatchedModel(turns=[answer("42")], prompts=[])
    with pytest.raises(OutOfTimeError):
        call(model, [HumanMessage("q")], {}, 0)
    with pytest.raises(OutOfTimeError):
        asyncio.run(acall(model, [HumanMessage("q")], {}, -1))
    assert model.prompts == []
    assert call(model, [HumanMessage("q")], {}, 1e300).text == answer("42")


class AsyncModel(ScriptedModel):
    """Has asyncio of its own, and notes when it is cancelled."""

    cancelled: list[bool]

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        try:
            await asyncio.sleep(2 * PATIENCE if self.turns == ["slow"] else 0)
        except asyncio.CancelledError:
            self.cancelled.append(True)
            raise
        return self._generate(messages)


def test_a_model_with_asyncio_of_its_own_is_cancelled() -> None:
    model = AsyncModel(turns=["slow"], cancelled=[])
    for seconds in TIMES:
        with pytest.raises(OutOfTimeError, match=rf"did not reply within the {seconds:.1f} seconds"):
            asyncio.run(acall(model, [HumanMessage("q")], {}, seconds))
        if model.cancelled:  # else it was not asked in time
            break
    assert model.cancelled == [True]
    model = AsyncModel(turns=[LOOK, answer("42")], cancelled=[])
    result = asyncio.run(ChainOfFocus(Policy(model, Profile(), "async")).aask(photo(), "What?"))
    assert result.answer == "42"


# What foreign policies do


class RepeatingModel(ScriptedModel):
    """Every message has the same id, as some servers do it."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._generate(messages, *args, **kwargs)
        result.generations[0].message.id = "same"
        return result


def test_repeated_message_ids_do_no_harm() -> None:
    model = RepeatingModel(turns=[LOOK, LOOK + BAD, "hm", answer("42")])
    result = ChainOfFocus(Policy(model, Profile(), "repeating")).ask(photo(), "What?")
    assert (result.answer, result.usage.zooms, result.usage.refused) == ("42", 2, 2)
    assert [turn.text for turn in result.trajectory.turns if turn.role == "policy"] == model.turns


@pytest.mark.parametrize(
    "turn",
    [
        zoom(1, 2, 10**30, 40),
        zoom(1, 2, float("nan"), float("inf")),
        zoom(1, 2, 1e308, 40),
        written("image_zoom_in_tool", bbox_2d="[" * 5000),
        written("image_zoom_in_tool", bbox_2d=json.loads("[" * 200 + "]" * 200)),
        written("\ud800", label="\ud800"),
        "\ud800\x00",
    ],
)
def test_odd_values_are_refused_calls_whatever_keeps_the_state(turn: str) -> None:
    agent = ChainOfFocus(scripted(turn, LOOK, answer("42")), checkpointer=InMemorySaver())
    result = agent.ask(photo(), "What \ud800?")
    assert (result.answer, result.usage.refused, result.usage.zooms) == ("42", 1, 1)
    state = agent.graph.get_state({"configurable": {"thread_id": result.thread_id}}).values
    assert Trajectory.from_state(state) == result.trajectory


class NotAssistant(ScriptedModel):
    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=HumanMessage("hello"))])


def test_a_reply_that_is_no_policy_turn_is_the_policys_failure() -> None:
    result = ChainOfFocus(Policy(NotAssistant(turns=[]), Profile(), "x")).ask(photo(), "What?")
    assert (result.status, "HumanMessage" in (result.message or "")) == (Status.FAILED, True)


# Evidence


def test_the_policy_points_in_its_answer() -> None:
    result = ask(LOOK, answer('the sign {"bbox_2d": [161, 119, 322, 238]}'))
    (evidence,) = result.evidence
    assert (evidence.view, evidence.box, evidence.source) == (0, (160, 120, 320, 240), "policy")


@pytest.mark.parametrize(
    "box", ["[700, 500, 800, 600]", "[30, 40, 10, 20]", f"[-{'9' * 180}, 0, -1, 10]", f"[{'9' * 190}, 1, 2, 3]"]
)
def test_a_box_outside_the_image_is_no_evidence(box: str) -> None:
    assert ask(answer(f'{{"bbox_2d": {box}}}')).evidence == ()
    (clipped,) = ask(answer(f'{{"bbox_2d": [600, 400, {"9" * 180}, 900]}}')).evidence
    assert clipped.box == (596, 403, 640, 480)


def test_the_last_view_is_named_as_no_more_than_that() -> None:
    result = ask(LOOK, zoom(100, 100, 160, 160), answer("42"))
    (evidence,) = result.evidence
    assert (evidence.view, evidence.source) == (2, "last_view")
    assert evidence.box == tuple(result.views[2].box.as_list())


class ReadingModel(ScriptedModel):
    """Sends the box of what it read beside its text."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._generate(messages, *args, **kwargs)
        message = result.generations[0].message
        if "<answer>" in message.text:
            message.additional_kwargs["cof_evidence"] = [{"view": 1, "bbox_2d": [0, 0, 10, 10], "source": "reader"}]
        return result


def test_an_embedded_policy_sends_its_own_boxes() -> None:
    agent = ChainOfFocus(Policy(ReadingModel(turns=[LOOK, answer("42")]), Profile(), "reading"))
    result = agent.ask(photo(), "What?")
    (evidence,) = result.evidence
    view = result.views[1]
    assert (evidence.view, evidence.source) == (1, "reader")
    assert evidence.box[:2] == (view.box.x1, view.box.y1)
    assert evidence.box[2] - evidence.box[0] == -(-10 * view.box.width // view.shown[0])


# Hosts


def data_url() -> str:
    return "data:image/png;base64," + base64.b64encode(open_image(photo()).data).decode()


def keep(store: MemoryStore) -> dict[str, Any]:
    return keep_original(open_image(photo()), store)


def test_the_graph_takes_a_path_a_url_or_a_reference(tmp_path: Path) -> None:
    store = MemoryStore()
    graph = build_graph(scripted(answer("42")), store=store)
    photo().save(tmp_path / "photo.png")
    path = tmp_path / "photo.png"
    reference = keep(store)
    for image in (str(path), path.as_uri(), data_url(), reference, open_image(photo()).ref.to_json()):
        output = graph.invoke({"image": image, "question": "What?"})
        assert (output["answer"], output["status"], output["original"]["width"]) == ("42", "answered", 640)
        assert output["original"]["source"]
        json.dumps({key: value for key, value in output.items() if key != "messages"})


@pytest.mark.parametrize("given", [{}, {"question": ""}, {"question": "  \n"}, {"question": None}, {"question": 5}])
def test_a_missing_question_is_an_error(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="under the state key `question`"):
        build_graph(scripted(answer("42"))).invoke({"image": data_url(), **given})


def test_a_missing_or_bad_image_is_an_error() -> None:
    graph = build_graph(scripted(answer("42")))
    with pytest.raises(ConfigError, match="under the key `image`"):
        graph.invoke({"question": "What?"})
    with pytest.raises(ImageError, match=r"not Image"):
        graph.invoke({"image": photo(), "question": "What?"})
    with pytest.raises(ImageError, match=r"a mapping of \['path'\] is not an image reference: pass"):
        graph.invoke({"image": {"path": "x"}, "question": "What?"})
    with pytest.raises(ImageError, match=r"nowhere\.png"):
        graph.invoke({"image": "nowhere.png", "question": "What?"})


def test_an_image_that_the_store_lacks_is_named_with_the_store() -> None:
    ref = open_image(photo()).ref
    with pytest.raises(ImageError, match=rf"{ref.sha256} is not in MemoryStore\(max_bytes=1000\)"):
        build_graph(scripted(answer("42")), store=MemoryStore(1000)).invoke({"image": ref.to_json(), "question": "?"})
    agent = ChainOfFocus(scripted(answer("42"), answer("43")), checkpointer=InMemorySaver())
    first = agent.ask(photo(), "What?", thread_id="1")
    agent.store.prune([])
    with pytest.raises(ImageError, match=first.views[0].image.sha256):
        agent.ask(None, "And?", thread_id="1")


@pytest.mark.parametrize("lost", ["all", "a region"])
def test_a_conversation_whose_views_were_lost_begins_anew_with_the_image(lost: str) -> None:
    saver, store = InMemorySaver(), MemoryStore()
    first = ChainOfFocus(scripted(LOOK, answer("42")), store=store, checkpointer=saver).ask(photo(), "?", thread_id="1")
    store.prune([] if lost == "all" else [first.views[0].image])
    agent = ChainOfFocus(scripted(answer("43"), answer("44")), store=store, checkpointer=saver)
    with pytest.raises(StoreError, match="open the image again"):
        agent.ask(None, "And?", thread_id="1")
    again = agent.ask(photo(), "And?", thread_id="1")
    assert (again.answer, [view.kind for view in again.views]) == ("43", ["overview"])
    events = list(agent.stream(photo(), "Really?", thread_id="1"))
    assert [type(event) for event in events] == [FocusResult], "which is not shown once more"


def test_the_limits_on_images_hold_for_references_too() -> None:
    store = MemoryStore()
    graph = build_graph(scripted(answer("42")), store=store, limits=ImageLimits(max_pixels=1000))
    with pytest.raises(ImageError, match="over the limit of 1,000"):
        graph.invoke({"image": keep(store), "question": "What?"})


def test_the_context_replaces_the_limits_for_one_run() -> None:
    graph = build_graph(scripted(LOOK, answer("42")))
    given = {"image": data_url(), "question": "What?"}
    for context in (FocusConfig(max_zooms=0), {"max_zooms": 0}):
        output = graph.invoke(given, context=context)
        assert (output["stop_reason"], output["run"]["config"]["max_zooms"]) == ("zoom_limit", 0)
    assert graph.invoke(given)["stop_reason"] == "answered"
    agent = ChainOfFocus(scripted(LOOK, answer("42")))
    assert agent.ask(photo(), "What?", config=FocusConfig(max_zooms=0)).stop_reason is StopReason.ZOOM_LIMIT


class ParentState(TypedDict, total=False):
    image: str
    question: str
    answer: str
    status: str
    evidence: list[Any]


class ParentContext(TypedDict):
    user: str


def test_a_parents_context_of_another_kind_does_no_harm() -> None:
    parent = StateGraph(ParentState, context_schema=ParentContext)
    parent.add_node("look", perception_node(scripted(LOOK, answer("42"))))
    parent.add_edge(START, "look")
    parent.add_edge("look", END)
    graph = parent.compile(checkpointer=InMemorySaver())
    given: Any = {"image": data_url(), "question": "What?"}
    output = graph.invoke(given, {"configurable": {"thread_id": "1"}}, context={"user": "me"})
    assert (output["answer"], output["status"]) == ("42", "answered")


def steady(trajectory: Trajectory) -> str:
    """A trajectory without what differs from run to run."""
    value = trajectory.to_json()
    for name in ("started", "finished"):
        value.pop(name)
    value["usage"].pop("seconds")
    return re.sub(r'"(id|call_id)": "[^"]*"', r'"\1": ""', json.dumps(value))


async def test_sync_and_async_runs_are_equal() -> None:
    turns = (LOOK + written("image_zoom_in_tool", bbox_2d=[1]), "hm", crop(1, 2, 30, 40, view=1), answer("42"))
    agent = ChainOfFocus(scripted(*turns, profile=BOTH))
    first, second = await asyncio.to_thread(agent.ask, photo(), "What?"), await agent.aask(photo(), "What?")
    assert steady(first.trajectory) == steady(second.trajectory)
    many = await asyncio.gather(*(agent.aask(photo(), "What?") for _ in range(4)))
    assert {steady(result.trajectory) for result in many} == {steady(first.trajectory)}
    events = [event async for event in agent.astream(photo(), "What?")]
    assert [type(event) for event in events] == [ViewEvent] * 3 + [FocusResult]
    assert [event.view.index for event in events if isinstance(event, ViewEvent)] == [0, 1, 2]
    assert [event.thought for event in events if isinstance(event, ViewEvent)] == [None, *["I look closer."] * 2]


def test_every_stream_mode() -> None:
    graph = build_graph(scripted(LOOK, answer("42")))
    given = {"image": data_url(), "question": "What?"}
    values = list(graph.stream(given, stream_mode="values"))
    assert (values[-1]["status"], values[-1]["answer"]) == ("answered", "42")
    assert {"answer", "status", "evidence", "views"} <= set(graph.get_output_jsonschema()["properties"])
    assert set(graph.get_input_jsonschema()["properties"]) == {"image", "question"}
    updates = [next(iter(update)) for update in graph.stream(given, stream_mode="updates")]
    assert updates == ["observe", "reason", "zoom", "reason", "answer"]
    messages = [message for message, _ in graph.stream(given, stream_mode="messages")]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    custom = list(graph.stream(given, stream_mode="custom"))
    assert [event["type"] for event in custom] == ["view", "view"]
    assert [event["thought"] for event in custom] == [None, "I look closer."]
    json.dumps(custom)
    both = list(graph.stream(given, stream_mode=["updates", "custom"]))
    assert [mode for mode, _ in both].count("custom") == 2


async def test_every_stream_mode_in_asyncio() -> None:
    graph = build_graph(scripted(LOOK, answer("42")))
    given = {"image": data_url(), "question": "What?"}
    modes: Any = ["values", "updates", "messages", "custom"]
    parts: list[Any] = [part async for part in graph.astream(given, stream_mode=modes)]
    assert {mode for mode, _ in parts} == set(modes)
    assert [part[0].type for mode, part in parts if mode == "messages"] == ["human", "ai", "tool", "ai"]


def test_what_a_policy_is_sent_has_the_views_themselves() -> None:
    policy, prompts = watched(LOOK, answer("42"))
    agent = ChainOfFocus(policy)
    result = agent.ask(photo(), "What?")
    blocks = [block for message in prompts[1] if isinstance(message.content, list) for block in message.content]
    sent = [block for block in blocks if block["type"] == "image"]
    assert [base64.b64decode(block["base64"]) for block in sent] == [agent.store.get(v.image) for v in result.views]
    assert [block["mime_type"] for block in sent] == [view.image.mime_type for view in result.views]
    assert "cof-image:" not in repr(prompts)


# Conversations


def test_questions_in_one_thread_share_the_views() -> None:
    policy, prompts = watched(LOOK, answer("42"), answer("43"), LOOK, answer("44"))
    agent = ChainOfFocus(policy, checkpointer=InMemorySaver())
    first = agent.ask(photo(), "What?", thread_id="1")
    second = agent.ask(None, "And?", thread_id="1")
    third = agent.ask(photo(), "Sure?", thread_id="1")
    assert [result.answer for result in (first, second, third)] == ["42", "43", "44"]
    assert [len(result.views) for result in (first, second, third)] == [2, 2, 3]
    assert [result.usage.zooms for result in (first, second, third)] == [1, 0, 1]
    assert second.usage.visual_tokens == 0
    assert [result.trajectory.first_turn for result in (first, second, third)] == [0, 4, 6]
    assert [result.trajectory.question for result in (first, second, third)] == ["What?", "And?", "Sure?"]
    assert (second.evidence, len(second.trajectory.zooms), len(third.trajectory.zooms)) == ((), 0, 1)
    assert third.evidence[0].view == 2
    assert texts(prompts[2])[-1] == "And?"
    assert images(prompts[2]) == 2


def test_another_image_starts_the_conversation_anew() -> None:
    agent = ChainOfFocus(scripted(LOOK, answer("42")), checkpointer=InMemorySaver())
    agent.ask(photo(), "What?", thread_id="1")
    result = agent.ask(photo(320, 240), "And this?", thread_id="1")
    assert (result.answer, len(result.views), result.trajectory.first_turn) == ("42", 2, 0)
    assert [turn.role for turn in result.trajectory.turns] == ["user", "policy", "tool", "policy"]
    assert result.trajectory.image.width == 320


def test_a_question_is_not_asked_twice_by_mistake() -> None:
    agent = ChainOfFocus(scripted(answer("42"), answer("43")), checkpointer=InMemorySaver())
    agent.ask(photo(), "What?", thread_id="1")
    with pytest.raises(ConfigError, match="question"):
        agent.graph.invoke({"image": data_url()}, {"configurable": {"thread_id": "1"}})


def test_threads_need_a_checkpointer_and_an_image() -> None:
    with pytest.raises(ConfigError, match="needs a checkpointer"):
        ChainOfFocus(scripted()).ask(photo(), "What?", thread_id="1")
    with pytest.raises(ConfigError, match="no image"):
        ChainOfFocus(scripted()).ask(None, "What?")
    with pytest.raises(ConfigError, match="no image"):
        ChainOfFocus(scripted(), checkpointer=InMemorySaver()).ask(None, "What?", thread_id="new")
    with pytest.raises(ConfigError, match="not empty"):
        ChainOfFocus(scripted()).ask(photo(), " ")


def test_the_oldest_regions_of_a_long_conversation_become_a_line() -> None:
    looks = [zoom(40 * n, 40 * n, 40 * n + 60, 40 * n + 60) for n in range(4)]
    policy, prompts = watched(*looks, answer("42"))
    tokens = 23 * 17 + 2 * 30
    agent = ChainOfFocus(policy, config=FocusConfig(max_conversation_tokens=tokens))
    result = agent.ask(photo(), "What?")
    last = prompts[-1]
    kept = sum(view.tokens for view in (result.views[0], result.views[-1]))
    stubs = [text for text in texts(last) if "no longer shown" in text]
    assert stubs == [f"[view {n} is no longer shown]" for n in range(1, 1 + len(stubs))]
    assert images(last) == 5 - len(stubs)
    assert len(stubs) >= 2
    first_user = last[1].content
    assert isinstance(first_user, list)
    assert first_user[0]["type"] == "image", "the overview stays"
    assert last[-1].content[0]["type"] == "image", "and so does the newest"
    assert kept <= tokens
    state_views = [turn.views for turn in result.trajectory.turns if turn.role == "tool"]
    assert state_views == [(1,), (2,), (3,), (4,)], "the run itself forgets nothing"


def test_messages_in_state_are_standard() -> None:
    graph = build_graph(scripted(LOOK, answer("42")))
    output = graph.invoke({"image": data_url(), "question": "What?"})
    question, look, region, last = output["messages"]
    assert question.content[0]["url"].startswith("cof-image://sha256/")
    assert question.text == "What?"
    assert look.content == LOOK
    assert look.tool_calls[0]["name"] == "image_zoom_in_tool"
    assert isinstance(region, ToolMessage)
    assert region.artifact["schema"] == 1
    assert isinstance(last, AIMessage)
    assert "base64" not in repr(output)
