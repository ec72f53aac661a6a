"""The node in a parent graph: what streams, interrupts, checkpoints and `Send` see of it, and what leaves it."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from operator import add
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from cof_agent import (
    ConfigError,
    DirectoryStore,
    FocusConfig,
    ImageError,
    MemoryStore,
    QuestionError,
    StoreError,
    perception_node,
)
from cof_agent.images.rendering.decode_queue import Rank, decode_queue
from cof_agent.integrations.langgraph import ask_each, last_image, last_images, last_question
from tests.support.conversations import answer, photo, scripted, zoom
from tests.support.integrations.hosts import IN_SECOND, NINE, SECOND, agent_of_several
from tests.support.patience import PATIENCE, wait_until

pytestmark = pytest.mark.slow

THREAD: Any = {"configurable": {"thread_id": "1"}}
LOOK = zoom(10, 20, 60, 70, label="sign")
ELSEWHERE = {"decision": "edit", "box": [300, 200, 400, 300]}


class Trip(TypedDict, total=False):
    image: str
    question: str
    answer: str | None
    status: str
    evidence: list[dict[str, Any]]
    story: str


class Album(TypedDict, total=False):
    questions: list[dict[str, Any]]
    findings: Annotated[list[dict[str, Any]], add]


class Call(TypedDict, total=False):
    image: str
    question: str
    call: str
    messages: list[Any]


@pytest.fixture
def path(tmp_path: Path) -> str:
    photo().save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


@pytest.fixture
def data(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


def trip(node: Any, **options: Any) -> Any:
    graph = StateGraph(Trip)
    graph.add_node("wonder", lambda state: {"question": "What is it?"})
    graph.add_node("look", node)
    graph.add_node("tell", lambda state: {"story": f"It is {state['answer']}."})
    graph.add_edge(START, "wonder")
    graph.add_edge("wonder", "look")
    graph.add_edge("look", "tell")
    return graph.compile(**options)


def alone(node: Any, state: type, **options: Any) -> Any:
    graph = StateGraph(state)
    graph.add_node("look", node)
    graph.add_edge(START, "look")
    return graph.compile(**options)


def album(node: Any, **options: Any) -> Any:
    graph = StateGraph(Album)
    graph.add_node("look", node)
    graph.add_node("close", lambda state: {})
    graph.add_edge("look", "close")
    graph.add_conditional_edges(START, ask_each("look", otherwise="close"), ["look", "close"])
    return graph.compile(**options)


def talk(*turns: str, images: Any = last_image, **options: Any) -> Any:
    return perception_node(
        scripted(*turns),
        image_key=images,
        question_key=last_question,
        answer_key=None,
        status_key=None,
        evidence_key=None,
        messages_key="messages",
        **options,
    )


# Streaming, interrupts, checkpoints


def test_each_view_is_streamed_before_the_policy_sees_it(path: str) -> None:
    looked_at: list[str] = []
    node = perception_node(scripted(LOOK, zoom(100, 100, 160, 160), answer("42")))
    for space, mode, part in trip(node).stream({"image": path}, stream_mode=["custom", "updates"], subgraphs=True):
        inside = bool(space) and space[0].startswith("look:")
        looked_at += (
            [f"view {part['view']['index']}"] if mode == "custom" else [f"{'.' * inside}{name}" for name in part]
        )
    assert looked_at == [
        "wonder", "view 0", ".observe", ".reason", "view 1", ".zoom", ".reason", "view 2", ".zoom", ".reason",
        ".answer", "look", "tell",
    ]  # fmt: skip


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield InMemorySaver()
        return
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as made:
        yield made


def test_interrupted_before_a_zoom_and_resumed_with_another_box(path: str, saver: Any, tmp_path: Path) -> None:
    def made() -> Any:
        config, store = FocusConfig(ask_before_zoom=True), DirectoryStore(tmp_path / "images")
        return trip(perception_node(scripted(LOOK, answer("42")), config=config, store=store), checkpointer=saver)

    (waiting,) = made().invoke({"image": path}, THREAD)["__interrupt__"]
    assert (waiting.value["ask"], waiting.value["box"]) == ("zoom", [9, 20, 60, 71])
    state = made().get_state(THREAD, subgraphs=True)
    assert (state.next, state.tasks[0].state.next) == (("look",), ("zoom",))
    end = made().invoke(Command(resume=ELSEWHERE), THREAD)
    (evidence,) = end["evidence"]
    assert end["story"] == "It is 42."
    x1, y1, x2, y2 = evidence["box"]
    assert (x1 <= 300, y1 <= 200, x2 >= 400, y2 >= 300) == (True,) * 4
    assert (x2 - x1, y2 - y1) < (170, 170)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_not_opened_again_for_a_run_that_goes_on(path: str, kind: type) -> None:
    node = perception_node(
        scripted(LOOK, answer("42")),
        image_key=lambda state: kind(state["image"]),
        config=FocusConfig(ask_before_zoom=True),
    )
    graph = trip(node, checkpointer=InMemorySaver())
    assert "__interrupt__" in graph.invoke({"image": path}, THREAD)
    Path(path).unlink()
    assert graph.invoke(Command(resume={"decision": "approve"}), THREAD)["answer"] == "42"


async def test_questions_that_wait_side_by_side_are_each_resumed(path: str) -> None:
    node = perception_node(
        scripted(LOOK, answer("42")), config=FocusConfig(ask_before_zoom=True), findings_key="findings"
    )
    graph = album(node, checkpointer=InMemorySaver())
    asked = [{"image": path, "question": f"{number}?"} for number in range(3)]
    found = (await graph.ainvoke({"questions": asked}, THREAD))["__interrupt__"]
    waiting = sorted(found, key=lambda item: item.value["question"])
    assert [item.value["question"] for item in waiting] == ["0?", "1?", "2?"]
    replies = [{"decision": "approve"}, ELSEWHERE, {"decision": "reject", "reason": "no"}]
    end = await graph.ainvoke(
        Command(resume={item.id: reply for item, reply in zip(waiting, replies, strict=True)}), THREAD
    )
    assert [len(item["evidence"]) for item in end["findings"]] == [1, 1, 0]
    assert [item["question"] for item in end["findings"]] == ["0?", "1?", "2?"]


def test_a_tracer_of_the_parent_sees_inside(path: str) -> None:
    class Tracer(BaseCallbackHandler):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def on_chain_start(self, serialized: Any, inputs: Any, *, name: str = "", **more: Any) -> None:
            self.seen.append(name)

        def on_chat_model_start(self, serialized: Any, messages: Any, *, parent_run_id: Any, **more: Any) -> None:
            self.seen.append("policy" if parent_run_id else "policy on its own")

        def on_tool_end(self, output: Any, *, name: str = "", **more: Any) -> None:
            self.seen.append(name)

    tracer = Tracer()
    trip(perception_node(scripted(LOOK, answer("42")))).invoke({"image": path}, {"callbacks": [tracer]})
    inside = [
        name for name in tracer.seen if name in {"observe", "policy", "image_zoom_in_tool", "answer", "look", "tell"}
    ]
    assert inside == ["look", "observe", "policy", "image_zoom_in_tool", "policy", "answer", "tell"]
    assert {"perception", "chain_of_focus"} <= set(tracer.seen)


def test_the_context_of_the_parent_may_be_the_limits(path: str) -> None:
    graph = StateGraph(Trip, FocusConfig)
    graph.add_node("look", perception_node(scripted(LOOK, answer("42"))))
    graph.add_edge(START, "look")
    end = graph.compile().invoke({"image": path, "question": "?"}, context=FocusConfig(max_zooms=0))
    assert end["evidence"] == []


@pytest.mark.parametrize("remembers", [False, True])
@pytest.mark.parametrize("context", [None, {}, {"max_zooms": 3}])
def test_a_decision_counts_though_the_context_is_not_repeated(path: str, remembers: bool, context: Any) -> None:
    def waiting(asks: str, *turns: str) -> Any:
        builder = StateGraph(Trip, FocusConfig)
        builder.add_node("look", perception_node(scripted(*turns), remembers=remembers))
        builder.add_edge(START, "look")
        graph: Any = builder.compile(checkpointer=InMemorySaver())
        assert "__interrupt__" in graph.invoke({"image": path, "question": "What is it?"}, THREAD, context={asks: True})
        return graph

    no: Any = Command(resume={"decision": "reject", "reason": "a private area"})
    end = waiting("ask_before_zoom", LOOK, answer("42")).invoke(no, THREAD, context=context)
    assert (end["answer"], end["evidence"]) == ("42", [])
    edited = waiting("ask_before_zoom", LOOK, answer("42")).invoke(Command(resume=ELSEWHERE), THREAD, context=context)
    x1, y1, x2, y2 = edited["evidence"][0]["box"]
    assert (x1 <= 300, y1 <= 200, x2 >= 400, y2 >= 300) == (True,) * 4
    end = waiting("ask_at_end", answer("cannot answer"), answer("42")).invoke(no, THREAD, context=context)
    assert (end["answer"], end["status"]) == ("42", "answered")


def test_a_decision_of_the_parents_own_is_not_taken_for_one_about_a_zoom(path: str) -> None:
    node = perception_node(scripted(LOOK, answer("42")))

    def look(state: Trip, config: RunnableConfig) -> Any:
        return node.invoke(state, config) if interrupt("go on?") == "yes" else {}

    graph = alone(look, Trip, checkpointer=InMemorySaver())
    graph.invoke({"image": path, "question": "What is it?"}, THREAD)
    end = graph.invoke(Command(resume="yes"), THREAD)
    assert (end["answer"], len(end["evidence"])) == ("42", 1)


def test_checkpoints_of_the_parent_hold_no_pixels_of_the_loop(path: str, data: str, tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.db")) as saver:
        graph = trip(perception_node(scripted(LOOK, answer("42"))), checkpointer=saver)
        graph.invoke({"image": f"data:image/png;base64,{data}"}, THREAD)
        inside = [kept for kept in saver.list(None) if kept.config["configurable"]["checkpoint_ns"]]
    assert len(inside) > 5
    assert all(data[100:200] not in repr(kept.checkpoint) for kept in inside)


def test_one_that_remembers_goes_on_with_the_same_views(data: str) -> None:
    graph = alone(talk(LOOK, answer("42"), answer("yes"), remembers=True), MessagesState, checkpointer=InMemorySaver())
    shown = [{"type": "text", "text": "What is it?"}, {"type": "image", "base64": data, "mime_type": "image/png"}]
    assert graph.invoke({"messages": [HumanMessage(shown)]}, THREAD)["messages"][-1].text == "42"
    parts = list(
        graph.stream({"messages": [HumanMessage("Really?")]}, THREAD, stream_mode=["custom", "values"], subgraphs=True)
    )
    assert not [part for _, mode, part in parts if mode == "custom"], "nothing is shown again"
    assert parts[-1][2]["messages"][-1].text == "yes"


def test_one_that_remembers_and_lost_its_views_begins_anew_with_the_image(data: str) -> None:
    saver = InMemorySaver()
    shown = [{"type": "text", "text": "What is it?"}, {"type": "image", "base64": data, "mime_type": "image/png"}]
    for said in ("42", "43"):  # each with a new store in memory, as after a restart
        node = talk(LOOK, answer(said), images=last_image, remembers=True)
        end = alone(node, MessagesState, checkpointer=saver).invoke({"messages": [HumanMessage(shown)]}, THREAD)
        assert end["messages"][-1].text == said


def test_one_that_does_not_remember_begins_anew(data: str) -> None:
    graph = alone(talk(LOOK, answer("42"), answer("yes")), MessagesState, checkpointer=InMemorySaver())
    shown = [{"type": "text", "text": "What is it?"}, {"type": "image", "base64": data, "mime_type": "image/png"}]
    for question in (HumanMessage(shown), HumanMessage("Really?")):
        assert graph.invoke({"messages": [question]}, THREAD)["messages"][-1].text == "42"


# Many questions


def test_a_list_of_questions_fans_out_and_comes_back_in_order(path: str) -> None:
    graph = album(perception_node(scripted(LOOK, answer("42")), findings_key="findings"))
    asked = [{"image": path, "question": f"{number}?"} for number in range(20)]
    for end in (graph.invoke({"questions": asked}), asyncio.run(graph.ainvoke({"questions": asked}))):
        assert [(item["question"], item["answer"]) for item in end["findings"]] == [
            (f"{number}?", "42") for number in range(20)
        ]
        assert all(item["evidence"][0]["source"] == "last_view" for item in end["findings"])
    assert graph.invoke({"questions": []})["findings"] == []


def test_many_at_once_leave_no_thread_and_no_file_open(tmp_path: Path) -> None:
    photo(1200, 900).save(tmp_path / "photo.jpg", quality=90)
    graph = album(
        perception_node(
            scripted(LOOK, answer("42")), findings_key="findings", store=DirectoryStore(tmp_path / "images")
        )
    )

    def ask(number: int) -> tuple[str, str]:
        asked = [{"image": str(tmp_path / "photo.jpg"), "question": f"{number}?"}]
        (found,) = graph.invoke({"questions": asked})["findings"]
        return found["question"], found["answer"]

    def ask_all(count: int) -> list[tuple[str, str]]:
        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(ask, range(count)))

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    ask_all(4)
    turns = decode_queue()
    together = threading.Barrier(turns._turns)
    with ThreadPoolExecutor(turns._turns) as threads:  # starts all that decode images, for as long as the process lives
        list(threads.map(lambda _: turns.run(Rank.READ, 0, lambda: together.wait(PATIENCE)), range(turns._turns)))
    before, files = set(threading.enumerate()), open_files()
    assert ask_all(40) == [(f"{number}?", "42") for number in range(40)]
    wait_until(lambda: set(threading.enumerate()) <= before and open_files() <= files)


def test_what_cannot_be_asked_is_a_finding_and_the_others_are_answered(path: str) -> None:
    graph = album(perception_node(scripted(LOOK, answer("42")), findings_key="findings"))
    asked = [
        {"image": path, "question": "0?"},
        {"image": "gone.jpg", "question": "1?"},
        {"question": "2?"},
        {"image": path, "question": 3},
        {"image": {"sha256": "no"}, "question": "4?"},
        {"image": path, "question": "5?"},
    ]
    for end in (graph.invoke({"questions": asked}), asyncio.run(graph.ainvoke({"questions": asked}))):
        found = end["findings"]
        assert [item["question"] for item in found] == ["0?", "1?", "2?", 3, "4?", "5?"]
        assert [item["answer"] for item in found] == ["42", None, None, None, None, "42"]
        assert {(item["status"], *item["evidence"]) for item in found[1:5]} == {("failed",)}
        assert [item["stop_reason"] for item in found[1:4]] == ["image_error", "error", "error"]
        assert "gone.jpg does not exist" in found[1]["message"]
        assert "needs an image under 'image'" in found[2]["message"]
        assert found[0].keys() == found[1].keys()


# What leaves


def test_a_message_with_the_answer_and_one_with_the_views(data: str) -> None:
    shown = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": f"data:;base64,{data}"}}]
    given = {"messages": [HumanMessage(shown)]}
    plain = alone(talk(LOOK, answer("42")), MessagesState).invoke(given)["messages"][-1]
    assert isinstance(plain, AIMessage)
    assert plain.content == "42"
    shows = alone(talk(LOOK, answer("42"), show_views=True), MessagesState).invoke(given)["messages"][-1]
    assert [block["type"] for block in shows.content] == ["text", "image", "image"]
    assert all(base64.b64decode(block["base64"]) for block in shows.content[1:])
    assert "cof-image:" not in repr(shows)
    no = alone(talk(answer("cannot answer: too dark")), MessagesState).invoke(given)["messages"][-1]
    assert no.content == "No answer (declined): too dark"


@pytest.mark.parametrize(("image", "says"), [("PATH", ("success", "42")), ("gone.jpg", ("error", "gone.jpg"))])
async def test_the_observation_of_a_tool_call(path: str, image: str, says: tuple[str, str]) -> None:
    node = perception_node(scripted(answer("42")), messages_key="messages", call_key="call")
    asked = {"image": image.replace("PATH", path), "question": "?", "call": "call-7"}
    for written in (node.invoke(asked), await node.ainvoke(asked)):
        (message,) = written["messages"]
        assert isinstance(message, ToolMessage)
        assert (message.tool_call_id, message.status) == ("call-7", says[0])
        assert says[1] in message.text
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        node.invoke(asked | {"image": "gone.jpg", "call": None})


@pytest.mark.parametrize(
    ("asked", "says"), [({"question": "?"}, "there is no image"), ({"image": "PATH"}, "there is no question")]
)
def test_a_call_that_lacks_something_is_told_what_to_pass(path: str, asked: dict[str, str], says: str) -> None:
    node = perception_node(scripted(answer("42")), messages_key="messages", call_key="call")
    given = {name: value.replace("PATH", path) for name, value in asked.items()}
    (message,) = node.invoke(given | {"call": "call-7"})["messages"]
    assert message.status == "error"
    assert says in message.text
    assert "state" not in message.text, "a model does not know the state"


def test_what_was_set_up_wrongly_is_no_observation_and_no_finding(path: str) -> None:
    config = FocusConfig(ask_before_zoom=True)
    for keys in ({"messages_key": "messages", "call_key": "call"}, {"findings_key": "findings"}):
        node = perception_node(scripted(LOOK, answer("42")), config=config, **keys)
        for settings in ({}, THREAD):
            with pytest.raises(ConfigError, match="need a checkpointer"):
                node.invoke({"image": path, "question": "?", "call": "call-7"}, settings)
    node = perception_node(
        scripted(answer("42")), image_key=last_image, question_key=last_question, messages_key="said", call_key="call"
    )
    with pytest.raises(ConfigError, match="a list of messages under 'messages'"):
        node.invoke({"call": "call-7"})


async def test_one_that_remembers_needs_a_checkpointer(path: str) -> None:
    node = perception_node(scripted(answer("42")), remembers=True)
    asked = {"image": path, "question": "?"}
    with pytest.raises(ConfigError, match="remembers=True needs a checkpointer"):
        alone(node, Trip).invoke(asked, THREAD)
    with pytest.raises(ConfigError, match="remembers=True needs a checkpointer"):
        await node.ainvoke(asked)
    assert alone(node, Trip, checkpointer=InMemorySaver()).invoke(asked, THREAD)["answer"] == "42"


def test_the_keys_of_a_node() -> None:
    with pytest.raises(ConfigError, match=r"call_key is 'call'.*messages_key"):
        perception_node(scripted(answer("42")), call_key="call")
    with pytest.raises(ConfigError, match="the question under 'wish' must be text, not 5"):
        perception_node(scripted(answer("42")), question_key="wish").invoke({"image": "a.jpg", "wish": 5})


# Conversations


def image_forms(data: str, path: str) -> list[dict[str, Any]]:
    url = f"data:image/png;base64,{data}"
    return [
        {"type": "image", "base64": data, "mime_type": "image/png"},
        {"type": "image", "url": url},
        {"type": "image", "url": path},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": url},
        {"type": "input_image", "image_url": url},
        {"type": "image", "source_type": "base64", "data": data, "mime_type": "image/png"},
        {"type": "image", "source": {"type": "base64", "data": data, "media_type": "image/png"}},
    ]


@pytest.mark.parametrize("form", range(8))
def test_images_as_messages_carry_them(data: str, path: str, form: int) -> None:
    shown = image_forms(data, path)[form]
    said = [HumanMessage([shown]), AIMessage("A sign."), HumanMessage("What does it say?")]
    graph = alone(talk(answer("42")), MessagesState)
    assert graph.invoke({"messages": said})["messages"][-1].text == "42"
    assert last_question({"messages": said}) == "What does it say?"


def test_the_last_message_with_an_image_counts() -> None:
    old, new = ({"type": "image", "url": f"https://example.com/{name}.png"} for name in ("old", "new"))
    said = {"chat": [HumanMessage([old]), HumanMessage([new]), AIMessage([old]), {"role": "user", "content": "And?"}]}
    assert last_image(said, "chat") == "https://example.com/new.png"
    assert last_question(said, "chat") == "And?"
    assert last_image({"messages": [HumanMessage([old, new])]}) == [old["url"], new["url"]], "one question over both"
    assert last_image({"messages": [HumanMessage("hello")]}) is None
    assert last_question({"messages": []}) is None


@pytest.mark.parametrize(
    ("messages", "error", "why"),
    [
        ([HumanMessage([{"type": "image", "file_id": "x"}])], ImageError, r"cannot be read from \['file_id', 'type'\]"),
        ([HumanMessage([{"type": "input_image", "file_id": "x"}])], ImageError, r"\['file_id', 'type'\]: pass"),
        ([HumanMessage([{"type": "image_url", "image_url": {}}])], ImageError, 'send {"type": "image"'),
        ("hello", ConfigError, "a list of messages under 'messages', not 'hello'"),
        ([5], ConfigError, "something else than messages"),
        (None, ConfigError, "a list of messages"),
    ],
)
def test_messages_that_cannot_be_read(messages: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        last_image({"messages": messages})


def test_what_the_state_lacks_is_told_with_what_it_has() -> None:
    node = talk(answer("42"))
    with pytest.raises(ConfigError, match=r"under last_image\(\) and a question under last_question\(\); it has 'mess"):
        node.invoke({"messages": [HumanMessage("hello")]})
    with pytest.raises(ConfigError, match=r"under 'image' and a question under 'question'; it has 'picture', 'words'"):
        perception_node(scripted(answer("42"))).invoke({"picture": "a.jpg", "words": "?"})


def test_the_images_that_a_question_may_be_about() -> None:
    one, two = ([{"type": "image", "url": f"{name}.png"}] for name in ("one", "two"))
    unreadable = [{"type": "image", "file_id": "x"}]
    both = HumanMessage([*one, *two])
    earlier = [
        HumanMessage(one),
        AIMessage("A sign."),
        both,
        HumanMessage(unreadable),
        HumanMessage([*one, *unreadable]),
    ]
    assert last_images({"messages": []}) == last_images({"messages": [HumanMessage("hello")]}) == []
    assert last_images({"chat": [*earlier, HumanMessage(two)]}, "chat") == ["two.png"], "an error there is told"
    meant = last_images({"messages": [*earlier, HumanMessage(two), HumanMessage("?")]})
    assert meant == ["two.png", ["one.png", "two.png"], "one.png"]
    assert last_images({"messages": [*earlier, both]}) == [["one.png", "two.png"]]
    with pytest.raises(ImageError):
        last_images({"messages": [*earlier, earlier[3], HumanMessage("?")]})


def test_the_images_of_a_message_are_one_question(path: str, other_file: Path) -> None:
    several, shown = agent_of_several().policy, [{"type": "image", "url": name} for name in (path, str(other_file))]
    for images in (last_images, last_image):
        node = perception_node(several, image_key=images, question_key=last_question, messages_key="messages")
        end = node.invoke({"messages": [HumanMessage([*shown, {"type": "text", "text": "Which?"}])]})
        assert [(item["image_index"], item["box"]) for item in end["evidence"]] == [(1, IN_SECOND)]
    node = perception_node(several, image_key=last_images, question_key=last_question, messages_key="messages")
    bad = HumanMessage([{"type": "text", "text": "And?"}, shown[0], {"type": "image", "url": "gone.png"}])
    end = node.invoke({"messages": [HumanMessage(shown), bad, HumanMessage("Really?")]})
    told = f"(This is about the 2 images before, {path} and {other_file}, for the newest cannot be opened: "
    assert told in end["messages"][0].text
    with pytest.raises(ImageError, match=r"image 2 of 2: .*gone\.png does not exist"):
        node.invoke({"messages": [HumanMessage(shown), bad]})


def test_a_node_that_remembers_goes_on_about_both_images(path: str, other_file: Path) -> None:
    model = agent_of_several(SECOND, NINE, NINE).policy
    node = perception_node(
        model, image_key=last_images, question_key=last_question, messages_key="messages", remembers=True
    )
    graph = alone(node, MessagesState, checkpointer=InMemorySaver())
    shown = [{"type": "image", "url": name} for name in (path, str(other_file))]
    asked = {"messages": [HumanMessage([*shown, {"type": "text", "text": "Which?"}])]}
    parts = list(graph.stream(asked, THREAD, stream_mode="custom", subgraphs=True))
    assert [(part["view"]["kind"], part["view"]["image_index"]) for _, part in parts] == [
        ("overview", 0), ("overview", 1), ("zoom", 1)
    ]  # fmt: skip
    again = {"messages": [HumanMessage("And now?")]}
    assert list(graph.stream(again, THREAD, stream_mode="custom", subgraphs=True)) == [], "what was seen is kept"


@pytest.mark.parametrize("call", [None, "call-7"])
async def test_a_question_after_a_bad_image_is_about_the_one_before(data: str, path: str, call: str | None) -> None:
    node = perception_node(
        scripted(LOOK, answer("42")), image_key=last_images, question_key=last_question, messages_key="messages",
        call_key=lambda state: call,
    )  # fmt: skip
    said: list[Any] = [HumanMessage([{"type": "image", "url": path}]), AIMessage("A sign.")]
    bad = HumanMessage([{"type": "text", "text": "What?"}, {"type": "image", "url": "gone.jpg"}])
    if call is None:
        with pytest.raises(ImageError, match=r"gone\.jpg"):
            node.invoke({"messages": [*said, bad]})
    for written in (
        node.invoke({"messages": [*said, bad, HumanMessage("Really?")]}),
        await node.ainvoke({"messages": [*said, bad, HumanMessage("Really?")]}),
    ):
        (message,) = written["messages"]
        assert message.text.startswith(f"42\n\n(This is about the image before, {path}, for the newest cannot be")
        assert "gone.jpg does not exist" in message.text
        assert written["answer"] == "42"
    plain = node.invoke({"messages": [*said, HumanMessage([{"type": "image", "url": path}]), HumanMessage("?")]})
    assert plain["messages"][0].text == "42"


def test_where_no_image_can_be_opened_the_newest_is_named() -> None:
    node = talk(answer("42"), images=last_images)
    said = [HumanMessage([{"type": "image", "url": f"gone-{number}.jpg"}]) for number in range(2)]
    with pytest.raises(ImageError, match=r"gone-1\.jpg does not exist"):
        node.invoke({"messages": [*said, HumanMessage("Really?")]})


def test_a_run_that_goes_on_is_about_the_image_that_it_began_with(path: str, tmp_path: Path) -> None:
    photo(320, 240).save(tmp_path / "new.png")
    node = talk(LOOK, answer("42"), images=last_images, config=FocusConfig(ask_before_zoom=True))
    graph = alone(node, MessagesState, checkpointer=InMemorySaver())
    said = [HumanMessage([{"type": "image", "url": name}]) for name in (path, str(tmp_path / "new.png"))]
    graph.invoke({"messages": [*said, HumanMessage("What?")]}, THREAD)
    (tmp_path / "new.png").unlink()
    assert graph.invoke(Command(resume={"decision": "approve"}), THREAD)["messages"][-1].text == "42"


def test_a_store_that_cannot_keep_or_has_lost_an_image_is_no_observation(path: str) -> None:
    asked = {"image": path, "question": "?", "call": "call-7"}
    full = {"store": MemoryStore(1000)}
    node = perception_node(scripted(LOOK, answer("42")), messages_key="messages", call_key="call", **full)
    with pytest.raises(StoreError, match=r"more than all of MemoryStore\(max_bytes=1000\): raise max_bytes"):
        node.invoke(asked)
    found = perception_node(scripted(LOOK, answer("42")), findings_key="findings", **full).invoke(asked)["findings"]
    assert (found[0]["status"], found[0]["stop_reason"]) == ("failed", "image_error"), "others are not lost"
    store = MemoryStore()
    node = talk(
        LOOK, answer("42"), images=lambda state: None if state["messages"][1:] else path, remembers=True, store=store
    )
    graph = alone(node, MessagesState, checkpointer=InMemorySaver())
    graph.invoke({"messages": [HumanMessage("What?")]}, THREAD)
    store.prune([])
    with pytest.raises(StoreError, match="is not in MemoryStore"):
        graph.invoke({"messages": [HumanMessage("Really?")]}, THREAD)


@pytest.mark.parametrize("remembers", [False, True])
def test_what_remembers_no_image_yet_names_the_remedy(remembers: bool) -> None:
    saver = InMemorySaver()
    node = perception_node(scripted(answer("42")), messages_key="messages", call_key="call", remembers=remembers)
    graph = alone(node, Call, checkpointer=saver)
    (message,) = graph.invoke({"question": "?", "call": "call-7"}, THREAD)["messages"]
    assert message.text == "No answer (failed): there is no image: pass its path or URL, or ask for one to be sent"
    node = perception_node(scripted(answer("42")), remembers=remembers)
    with pytest.raises(QuestionError, match=r"needs an image under 'image' and a question under 'question'; it has"):
        alone(node, Trip, checkpointer=saver).invoke({"question": "?"}, {"configurable": {"thread_id": "2"}})


@pytest.mark.parametrize("questions", ["What?", None, [("a.jpg", "What?")], 7, {"image": "a.jpg"}])
def test_what_is_no_list_of_questions(questions: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"needs a list of questions under 'questions', each with what the node reads"
    ):
        ask_each("look")({"questions": questions})
