"""The LangChain tool inside of LangChain's own agent, with a scripted model."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.memory import InMemorySaver

from cof_agent import (
    ChainOfFocus,
    ConfigError,
    FocusConfig,
    MemoryStore,
    Policy,
    Profile,
    StoreError,
    Trajectory,
    TrajectoryError,
)
from cof_agent.integrations.langchain import LookCloselyTool
from cof_agent.policies.script import ScriptedModel
from tests.support.integrations.hosts import DARK, IN_SECOND, REGION, agent, agent_of_several, photo

pytestmark = pytest.mark.slow


def encoded() -> str:
    buffer = io.BytesIO()
    photo().save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def asks(*calls: dict[str, Any]) -> AIMessage:
    return AIMessage(
        "", tool_calls=[{"name": "look_closely", "args": args, "id": f"call_{n}"} for n, args in enumerate(calls)]
    )


def tool_messages(state: dict[str, Any]) -> list[ToolMessage]:
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


def host(*turns: AIMessage, tool: LookCloselyTool | None = None):
    model = ScriptedModel(turns=[*turns, AIMessage("It is open until nine.")])
    return create_agent(model, [tool or LookCloselyTool(agent())], checkpointer=InMemorySaver())


THREAD: Any = {"configurable": {"thread_id": "trip"}}


async def test_an_agent_gets_the_answer_and_keeps_the_run(photo_file: Path) -> None:
    call = asks({"image": str(photo_file), "question": "Until when?"})
    for run in (host(call).invoke, host(call).ainvoke):
        state = run({"messages": [HumanMessage("Until when is it open?")]}, THREAD)
        state = state if isinstance(state, dict) else await state
        assert state["messages"][-1].text == "It is open until nine."
        (message,) = tool_messages(state)
        assert (message.status, message.content) == ("success", "nine")
        assert message.artifact["evidence"] == [{"view": 1, "box": REGION, "source": "last_view", "image_index": 0}]
        kept = Trajectory.from_json(message.artifact["trajectory"])
        assert (kept.answer, [view.kind for view in kept.views]) == ("nine", ["overview", "zoom"])


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": encoded(), "mime_type": "image/png"},
        {"type": "image", "url": f"data:image/png;base64,{encoded()}"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded()}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{encoded()}"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{encoded()}"},
        {"type": "file", "base64": encoded(), "mime_type": "image/png"},
        {"type": "file", "url": f"data:image/png;base64,{encoded()}", "mime_type": "image/png"},
        {"type": "file", "source_type": "base64", "data": encoded(), "mime_type": "image/png"},
        {"type": "file", "file": {"file_data": f"data:image/png;base64,{encoded()}", "filename": "sign.png"}},
        {"type": "input_file", "file_data": f"data:image/png;base64,{encoded()}", "filename": "sign.png"},
        {"type": "media", "data": encoded(), "mime_type": "image/png"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded()}},
        {"type": "document", "source": {"type": "base64", "media_type": "image/png", "data": encoded()}},
        {"inlineData": {"mimeType": "image/png", "data": encoded()}},
    ],
    ids=[
        "base64",
        "url",
        "OpenAI's form",
        "OpenAI's form, short",
        "OpenAI's newer form",
        "file",
        "file-url",
        "older-file",
        "openai-file",
        "input-file",
        "media",
        "anthropic",
        "document",
        "google",
    ],
)
def test_without_an_image_it_looks_at_the_newest_of_the_conversation(block: dict[str, Any]) -> None:
    older = HumanMessage([{"type": "image", "url": "missing.png"}])
    said = HumanMessage([{"type": "text", "text": "Until when?"}, block])
    state = host(asks({"question": "Until when?"})).invoke({"messages": [older, said]}, THREAD)
    (message,) = tool_messages(state)
    assert message.content == "nine"
    assert message.artifact["trajectory"]["image"]["width"] == 280


@pytest.mark.parametrize("given", ["list", "text", "message", "earlier"])
def test_a_question_about_two_images(given: str, photo_file: Path, other_file: Path) -> None:
    names = [str(photo_file), str(other_file)]
    said: list[Any] = [HumanMessage([{"type": "image", "url": name} for name in names])]
    call: dict[str, Any] = {"question": "Until when?"}
    if given in ("list", "text"):
        said, call["image"] = [HumanMessage("?")], names if given == "list" else json.dumps(names)
    if given == "earlier":
        said += [HumanMessage([{"type": "image", "url": "gone.png"}]), HumanMessage("And before?")]
    tool = LookCloselyTool(agent_of_several())
    (message,) = tool_messages(host(asks(call), tool=tool).invoke({"messages": said}, THREAD))
    assert message.status == "success"
    evidence = {"view": 2, "box": IN_SECOND, "source": "last_view", "image_index": 1}
    assert message.artifact["evidence"] == [evidence]
    run = Trajectory.from_json(message.artifact["trajectory"])
    assert [image.source for image in run.images] == names
    about = f"(This is about the 2 images before, {names[0]} and {names[1]}, for the newest cannot be opened: "
    assert (about in message.text) is (given == "earlier")


def test_two_images_for_a_policy_that_looks_at_one_are_told_to_the_model(photo_file: Path, other_file: Path) -> None:
    for said, call in (
        ([HumanMessage([{"type": "image", "url": str(photo_file)}] * 2)], {"question": "Until when?"}),
        ([HumanMessage("?")], {"question": "Until when?", "image": [str(photo_file), str(other_file)]}),
    ):
        (message,) = tool_messages(host(asks(call)).invoke({"messages": said}, THREAD))
        assert message.status == "error"
        assert "the dialect cof cannot say which image it looks at. Ask one question for each" in message.text


def test_an_empty_list_is_no_path() -> None:
    (message,) = tool_messages(
        host(asks({"question": "?", "image": "[]"}), tool=LookCloselyTool(agent_of_several())).invoke(
            {"messages": [HumanMessage("?")]}, THREAD
        )
    )
    assert (message.status, "the list of images is empty" in message.text) == ("error", True)


def test_a_model_is_told_of_lists_where_the_policy_takes_several() -> None:
    for tool, lists in ((LookCloselyTool(agent()), False), (LookCloselyTool(agent_of_several()), True)):
        told = tool.tool_call_schema.model_json_schema()["properties"]["image"]
        assert ("anyOf" in told, "list" in told["description"]) == (lists, lists)
        assert convert_to_openai_tool(tool)["function"]["description"] == tool.description


async def test_a_run_that_failed_is_an_error_and_keeps_its_artifact(photo_file: Path) -> None:
    broken = LookCloselyTool(ChainOfFocus(Policy(ScriptedModel(turns=[]), Profile(), "broken")))
    call = {"name": "look_closely", "args": {"image": str(photo_file), "question": "?"}, "id": "1", "type": "tool_call"}
    for message in (broken.invoke(call), await broken.ainvoke(call)):
        assert (message.status, message.tool_call_id) == ("error", "1")
        assert message.text.startswith("No answer (failed): ")
        assert Trajectory.from_json(message.artifact["trajectory"]).status == "failed"
    assert broken.invoke(call["args"]).startswith("No answer (failed): ")


def test_several_calls_in_a_turn_and_in_a_thread(photo_file: Path) -> None:
    call = {"image": str(photo_file), "question": "Until when?"}
    graph = host(asks(call, call), AIMessage("Until nine."), asks(call))
    for _ in range(2):
        state = graph.invoke({"messages": [HumanMessage("Until when?")]}, THREAD)
    assert [message.content for message in tool_messages(state)] == ["nine"] * 3


def test_a_refusal_to_guess_is_no_error(photo_file: Path) -> None:
    call = asks({"image": str(photo_file), "question": "Until when?"})
    state = host(call, tool=LookCloselyTool(agent(DARK))).invoke({"messages": [HumanMessage("?")]}, THREAD)
    (message,) = tool_messages(state)
    assert (message.status, message.content) == ("success", "No answer (declined): too dark")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"question": "Until when?"}, "there is no image: pass a path or a URL as `image`, or put an image into"),
        ({"question": "Until when?", "image": "missing.png"}, "missing.png does not exist: check the path"),
        ({"question": "Until when?", "image": __file__}, "save it as PNG, JPEG or WebP"),
        ({"question": "Until when?", "image": 7}, "a value of type int is no image source: pass a path"),
        ({"question": "Until when?", "picture": "photo.png"}, "picture: Extra inputs are not permitted"),
        ({"image": "photo.png"}, "question: Field required"),
        ({"image": "photo.png", "question": 7}, "question: Input should be a valid string"),
        ({"image": "photo.png", "question": " "}, "the question must be a text that is not empty"),
    ],
)
def test_bad_calls_are_told_to_the_model(arguments: dict[str, Any], said: str) -> None:
    state = host(asks(arguments)).invoke({"messages": [HumanMessage("Until when?")]}, THREAD)
    (message,) = tool_messages(state)
    assert message.status == "error"
    assert said in str(message.content)
    assert "messages" not in str(message.content), "what the agent adds to a call is none of the model's business"


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"type": "image", "file_id": "file-1"}, "cannot be read from ['file_id', 'type']: pass its path or URL"),
        (
            {"type": "file", "file_id": "file-1", "mime_type": "image/png"},
            "cannot be read from ['file_id', 'mime_type'",
        ),
        ({"type": "input_image", "file_id": "file-1"}, "cannot be read from ['file_id', 'type']: pass its path or URL"),
        ({"type": "media", "file_uri": "gs://b/a.png", "mime_type": "image/png"}, "gs://b/a.png"),
        ({"type": "image", "base64": "nonsense!", "mime_type": "image/png"}, "not valid base64"),
    ],
)
def test_an_image_in_the_conversation_that_cannot_be_opened(block: dict[str, Any], said: str) -> None:
    state = host(asks({"question": "Until when?"})).invoke({"messages": [HumanMessage([block])]}, THREAD)
    (message,) = tool_messages(state)
    assert message.status == "error"
    assert said in str(message.content)


@pytest.mark.parametrize(
    "bad", [{"type": "image", "url": "gone.png"}, {"type": "image", "base64": "no", "mime_type": "image/png"}]
)
async def test_a_question_after_a_bad_image_is_about_the_one_before(bad: dict[str, Any], photo_file: Path) -> None:
    given = [HumanMessage([{"type": "image", "url": str(photo_file)}]), HumanMessage([bad])]
    call = asks({"question": "Until when?"})
    (told,) = tool_messages(host(call).invoke({"messages": given}, THREAD))
    assert told.status == "error"
    later: Any = {"messages": [*given, HumanMessage("And before?")]}
    for state in (host(call).invoke(later, THREAD), await host(call).ainvoke(later, THREAD)):
        (message,) = tool_messages(state)
        assert message.status == "success"
        assert message.text.startswith(f"nine\n\n(This is about the image before, {photo_file}, for the newest cannot")
        assert str(told.content) in message.text


def test_a_full_store_is_not_told_to_the_model(photo_file: Path) -> None:
    tool = LookCloselyTool(ChainOfFocus(agent().policy, store=MemoryStore(100)))
    call = asks({"image": str(photo_file), "question": "Until when?"})
    with pytest.raises(StoreError, match="raise max_bytes or use a DirectoryStore"):
        host(call, tool=tool).invoke({"messages": [HumanMessage("Until when?")]}, THREAD)


async def test_the_agent_streams_each_view_as_the_loop_itself_does(photo_file: Path) -> None:
    call = asks({"image": str(photo_file), "question": "Until when?"})
    given: Any = {"messages": [HumanMessage("Until when is it open?")]}
    parts = list(host(call).stream(given, THREAD, stream_mode="custom", subgraphs=True))
    aparts = [part async for part in host(call).astream(given, THREAD, stream_mode="custom", subgraphs=True)]
    alone = list(agent().graph.stream({"image": str(photo_file), "question": "Until when?"}, stream_mode="custom"))
    assert [event["view"]["kind"] for event in alone] == ["overview", "zoom"]
    for seen in (parts, aparts):
        assert [event for _, event in seen] == alone


@pytest.mark.parametrize("checkpointer", [None, InMemorySaver()], ids=["none", "its own"])
@pytest.mark.parametrize("asking", ["ask_before_zoom", "ask_at_end"])
def test_an_agent_that_asks_a_person_is_refused(asking: str, checkpointer: Any) -> None:
    asks_somebody = ChainOfFocus(agent().policy, config=FocusConfig(**{asking: True}), checkpointer=checkpointer)
    with pytest.raises(ConfigError, match="the LangChain tool asks nobody: leave ask_before_zoom and ask_at_end false"):
        LookCloselyTool(asks_somebody)


def test_the_limits_of_the_tool_hold_whatever_the_context_of_the_graph_that_runs_it(photo_file: Path) -> None:
    model = ScriptedModel(turns=[asks({"image": str(photo_file), "question": "Until when?"}), AIMessage("Nine.")])
    graph = create_agent(model, [LookCloselyTool(agent())], context_schema=FocusConfig, checkpointer=InMemorySaver())
    said: Any = {"messages": [HumanMessage("Until when?")]}
    state = graph.invoke(said, THREAD, context=FocusConfig(ask_before_zoom=True))
    assert [message.content for message in tool_messages(state)] == ["nine"], "nobody was asked"


def test_what_only_the_host_can_mend_is_not_told_to_the_model(photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    tool = LookCloselyTool(ChainOfFocus(agent().policy, save=tmp_path / "file"))
    call = asks({"image": str(photo_file), "question": "Until when?"})
    with pytest.raises(TrajectoryError, match="file"):
        host(call, tool=tool).invoke({"messages": [HumanMessage("Until when?")]}, THREAD)


def test_called_from_code(photo_file: Path) -> None:
    tool = LookCloselyTool(agent())
    assert tool.invoke({"image": photo(), "question": "Until when?"}) == "nine"
    assert set(tool.tool_call_schema.model_json_schema()["properties"]) == {"question", "image"}
