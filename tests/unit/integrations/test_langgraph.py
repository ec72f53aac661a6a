"""Close looking as one node among others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from PIL import Image

from cof_agent import (
    ChainOfFocus,
    ConfigError,
    FocusConfig,
    ImageError,
    MemoryStore,
    Policy,
    Profile,
    QuestionError,
    TrajectoryError,
    ViewEvent,
    open_image,
    perception_node,
)
from cof_agent.images.views import keep_original
from cof_agent.policies.script import ScriptedModel
from tests.support.integrations.hosts import IN_SECOND, agent_of_several

pytestmark = pytest.mark.slow

ZOOM = (
    '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [20, 20, 80, 60], "label": "sign"}}</tool_call>'
)
TURNS = [f"<think>The sign is small.</think>{ZOOM}", "<think>Clear now.</think><answer>nine</answer>"]


class Trip(TypedDict, total=False):
    image: Any
    question: str
    answer: str | None
    status: str
    evidence: list[dict[str, Any]]
    story: str


@pytest.fixture
def policy() -> Policy:
    return Policy(ScriptedModel(turns=TURNS), Profile(), "script")


@pytest.fixture
def photo() -> Image.Image:
    return Image.linear_gradient("L").resize((280, 196))


def parent(node: Any, state: type = Trip, **options: Any):
    graph = StateGraph(state)
    graph.add_node("wonder", lambda state: {"question": "Until when is it open?"})
    graph.add_node("look", node)
    graph.add_node("tell", lambda state: {"story": f"It is open until {state['answer']}."})
    graph.add_edge(START, "wonder")
    graph.add_edge("wonder", "look")
    graph.add_edge("look", "tell")
    graph.add_edge("tell", END)
    return graph.compile(**options)


def test_a_node_between_two_others(policy: Policy, photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.png")
    given = open_image(photo)
    store = MemoryStore()
    reference = keep_original(given, store)
    sources = (photo, str(tmp_path / "photo.png"), tmp_path / "photo.png", given.data, reference)
    for source in sources:
        end = parent(perception_node(policy, store=store)).invoke({"image": source})
        assert end["story"] == "It is open until nine."
        assert (end["answer"], end["status"]) == ("nine", "answered")
        assert end["evidence"] == [{"view": 1, "box": [5, 10, 95, 70], "source": "last_view", "image_index": 0}]


async def test_a_node_in_an_async_run(policy: Policy, photo: Image.Image) -> None:
    end = await parent(perception_node(policy)).ainvoke({"image": photo})
    assert end["story"] == "It is open until nine."


def test_keys_of_ones_own(policy: Policy, photo: Image.Image) -> None:
    class Mail(TypedDict, total=False):
        attachment: Any
        subject: str
        reply: str | None
        outcome: str
        proof: list[dict[str, Any]]

    keys = {"image_key": "attachment", "question_key": "subject", "answer_key": "reply"}
    graph = StateGraph(Mail)
    graph.add_node("look", perception_node(policy, **keys, status_key="outcome", evidence_key="proof"))
    graph.add_edge(START, "look")
    end = graph.compile().invoke({"attachment": photo, "subject": "Until when?"})
    assert (end["reply"], end["outcome"], len(end["proof"])) == ("nine", "answered", 1)
    assert "answer" not in end


def test_state_may_be_an_object(policy: Policy, photo: Image.Image) -> None:
    @dataclass(slots=True)
    class Case:
        image: Any
        question: str

    assert perception_node(policy).invoke(Case(photo, "Until when?"))["answer"] == "nine"


def test_what_is_missing_is_named(policy: Policy, photo: Image.Image) -> None:
    node = perception_node(policy, image_key="picture")
    for state in ({"question": "Until when?"}, {"picture": photo}, {"picture": photo, "question": ""}):
        with pytest.raises(ConfigError, match=r"'picture'.*'question'"):
            node.invoke(state)
    with pytest.raises(ImageError, match=r"missing\.jpg"):
        node.invoke({"picture": "missing.jpg", "question": "Until when?"})


def test_an_agent_is_no_policy_and_the_remedy_is_named(policy: Policy) -> None:
    with pytest.raises(
        ConfigError, match=r"not a ChainOfFocus: give .* to the node itself, as limits=, config= and store="
    ):
        perception_node(ChainOfFocus(policy))  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["image", lambda state: tuple(state["image"])], ids=["key", "function"])
def test_a_list_of_images_is_one_question(key: Any, photo: Image.Image, other_file: Path) -> None:
    several = agent_of_several().policy
    graph = parent(perception_node(several, image_key=key), checkpointer=InMemorySaver())
    for number, first in enumerate((str(other_file), photo, open_image(photo).data)):
        asked = {"image": [first, other_file]}
        if not isinstance(first, Image.Image):  # which no checkpoint can hold
            end = graph.invoke(asked, {"configurable": {"thread_id": str(number)}})
        else:
            end = parent(perception_node(several, image_key=key)).invoke(asked)
        evidence = {"view": 2, "box": IN_SECOND, "source": "last_view", "image_index": 1}
        assert (end["answer"], end["evidence"]) == ("nine", [evidence])


async def test_a_list_that_cannot_be_asked_about_says_why(policy: Policy, photo_file: Path, other_file: Path) -> None:
    both = [str(photo_file), str(other_file)]
    for images, kind, why in (
        (both, QuestionError, "a call of the dialect cof cannot say which image it looks at"),
        ([], QuestionError, "the list of images is empty"),
        ([both[0], 7], QuestionError, "the dialect cof"),
        (["gone.png"], ImageError, "gone.png does not exist"),
    ):
        asked = {"image": images, "question": "Until when?", "call": "7"}
        with pytest.raises(kind, match=why):
            perception_node(policy).invoke(asked)
        (finding,) = perception_node(policy, findings_key="findings").invoke(asked)["findings"]
        (message,) = (await perception_node(policy, messages_key="said", call_key="call").ainvoke(asked))["said"]
        returned = perception_node(policy, on_failure="return", reason_key="reason").invoke(asked)
        assert finding["status"] == returned["status"] == "failed"
        assert message.status == "error"
        assert all(why in told for told in (finding["message"], message.text, returned["reason"]))
    node = perception_node(agent_of_several().policy)
    with pytest.raises(ImageError, match=r"image 2 of 2: .*gone\.png does not exist"):
        node.invoke({"image": [both[0], "gone.png"], "question": "?"})
    with pytest.raises(ImageError, match=r"image 2 of 2: a value of type int is no image source"):
        node.invoke({"image": [both[0], 7], "question": "?"})


def test_limits_and_a_refusal_reach_the_parent(photo: Image.Image) -> None:
    shy = Policy(ScriptedModel(turns=["<answer>cannot answer: too dark</answer>"]), Profile(), "script")
    end = perception_node(shy, config=FocusConfig(max_zooms=0)).invoke({"image": photo, "question": "Until when?"})
    assert end == {"answer": None, "status": "declined", "evidence": []}


def test_the_parent_sees_inside(policy: Policy, photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    photo.save(path)
    graph = parent(perception_node(policy), checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "trip"}}
    parts = list(graph.stream({"image": str(path)}, thread, stream_mode=["custom", "updates"], subgraphs=True))
    views = [part["view"]["kind"] for _, mode, part in parts if mode == "custom"]
    assert views == ["overview", "zoom"]
    inner = [name for space, mode, part in parts if mode == "updates" and space for name in part]
    assert inner == ["observe", "reason", "zoom", "reason", "answer"]
    again = graph.invoke({"image": str(path)}, thread)
    assert again["answer"] == "nine", "a second run of the same thread starts afresh"


def test_a_graph_shows_the_loop_inside_of_the_node_and_of_a_function_that_calls_it(policy: Policy) -> None:
    node = perception_node(policy)
    for made in (node, lambda state, config: node.invoke(state, config)):
        graph = parent(made)
        assert [name for name, _ in graph.get_subgraphs()] == ["look"]
        assert {"look:observe", "look:reason", "look:zoom", "look:answer"} <= set(graph.get_graph(xray=True).nodes)


# --- failures as values, and the pixels of streamed views


class Told(Trip, total=False):
    reason: str | None


def looks(node: Any) -> Any:
    graph = StateGraph(Told)
    graph.add_node("look", node)
    graph.add_edge(START, "look")
    return graph.compile()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"image": "missing.jpg", "question": "Until when?"}, "missing.jpg does not exist"),
        ({"question": "Until when?"}, "there is no image: the state needs an image under 'image'"),
        ({"image": "photo.png", "question": " "}, "there is no question"),
        ({"image": ["a.png", "b.png"], "question": "Until when?"}, "the dialect cof cannot say which image"),
        ({"image": "photo.png", "question": 7}, "must be text, not 7"),
    ],
)
async def test_a_failure_is_returned_where_that_was_asked_for(policy: Policy, given: Any, why: str) -> None:
    graph = looks(perception_node(policy, on_failure="return", reason_key="reason"))
    for end in (graph.invoke(given), await graph.ainvoke(given)):
        assert (end["answer"], end["status"], end["evidence"]) == (None, "failed", [])
        assert why in end["reason"]
    with pytest.raises((ConfigError, ImageError)):
        looks(perception_node(policy)).invoke(given)


def test_a_store_that_cannot_keep_an_image_is_a_failure_too(policy: Policy, photo: Image.Image) -> None:
    graph = looks(perception_node(policy, store=MemoryStore(10), on_failure="return", reason_key="reason"))
    end = graph.invoke({"image": photo, "question": "Until when?"})
    assert (end["status"], end["answer"]) == ("failed", None)
    assert end["reason"]


def test_the_reason_is_that_of_any_run_without_an_answer(photo: Image.Image) -> None:
    for turn, reason in (("<answer>cannot answer: too dark</answer>", "too dark"), (TURNS[1], None)):
        told = Policy(ScriptedModel(turns=[turn]), Profile(), "script")
        end = looks(perception_node(told, reason_key="reason")).invoke({"image": photo, "question": "Until when?"})
        assert end["reason"] == reason


def test_there_are_two_ways_to_fail(policy: Policy) -> None:
    with pytest.raises(ConfigError, match="on_failure='ignore' is neither"):
        perception_node(policy, on_failure="ignore")  # type: ignore[arg-type]


def test_the_pixels_of_a_streamed_view_are_at_hand(policy: Policy, photo: Image.Image) -> None:
    store = MemoryStore()
    graph = looks(perception_node(policy, store=store))
    asked = {"image": photo, "question": "Until when?"}
    events = [ViewEvent.from_json(value) for _, value in graph.stream(asked, stream_mode="custom", subgraphs=True)]
    assert [event.view.kind for event in events] == ["overview", "zoom"]
    agent = ChainOfFocus(policy)
    *streamed, result = agent.stream(photo, "Until when?")
    for number, (event, other) in enumerate(zip(events, streamed, strict=True)):
        assert ViewEvent.from_json(event.to_json()) == event == other
        seen = result.view_image(number)
        assert event.image(store).tobytes() == other.image(agent.store).tobytes() == seen.tobytes()
        assert event.image(store).size == event.view.shown
        with pytest.raises(ImageError):
            event.image(MemoryStore())


@pytest.mark.parametrize("value", [{}, {"type": "token"}, {"type": "view"}, {"type": "view", "view": {}}, "view", None])
def test_what_is_no_view_event(value: Any) -> None:
    with pytest.raises(TrajectoryError):
        ViewEvent.from_json(value)
