"""What `OpenAIChat` relies on inside of LangChain's class: a test fails by the name of what LangChain changed."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI

from cof_agent.policies.openai_chat import OpenAIChat
from tests.support.misbehaving_server import playing, says

PARAMETERS = {
    "_get_request_payload": {"input_": "given", "stop": "by name", "kwargs": "any"},
    "_create_chat_result": {"response": "given", "generation_info": "given"},
    "_convert_chunk_to_generation_chunk": {
        "chunk": "given",
        "default_chunk_class": "given",
        "base_generation_info": "given",
    },
    "_stream": {
        "messages": "given",
        "stop": "given",
        "run_manager": "given",
        "stream_usage": "by name",
        "kwargs": "any",
    },
    "_astream": {
        "messages": "given",
        "stop": "given",
        "run_manager": "given",
        "stream_usage": "by name",
        "kwargs": "any",
    },
}
_KINDS = {
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "given",
    inspect.Parameter.KEYWORD_ONLY: "by name",
    inspect.Parameter.VAR_KEYWORD: "any",
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_langchain_has_it_with_the_same_parameters(name: str) -> None:
    found = list(inspect.signature(getattr(BaseChatOpenAI, name)).parameters.values())[1:]
    assert {parameter.name: _KINDS.get(parameter.kind) for parameter in found} == PARAMETERS[name]


def test_no_other_private_method_is_replaced() -> None:
    own = {name for name, value in vars(OpenAIChat).items() if inspect.isfunction(value) and name.startswith("_")}
    inherited = {name for name in own if hasattr(ChatOpenAI, name) and not name.startswith("__")}
    assert inherited == PARAMETERS.keys()
    public = {name for name, value in vars(OpenAIChat).items() if inspect.isfunction(value)} - own
    assert public == {"invoke", "ainvoke"} <= vars(BaseChatModel).keys()


@pytest.mark.parametrize(
    ("name", "streaming"),
    [("_get_request_payload", False), ("_create_chat_result", False), ("_convert_chunk_to_generation_chunk", True)],
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_langchain_calls_it(name: str, streaming: bool, asynchronous: bool) -> None:
    called = []

    def noted(self: OpenAIChat, *args: Any, **options: Any) -> Any:
        called.append(name)
        return getattr(super(Noted, self), name)(*args, **options)

    Noted = type("Noted", (OpenAIChat,), {name: noted, "__module__": __name__})  # noqa: N806
    with playing(says("42")) as server:
        model: Any = Noted(model="m", api_key="k", base_url=server.url, streaming=streaming)
        said = await model.ainvoke("q") if asynchronous else model.invoke("q")
    assert said.text == "42"
    assert called, f"LangChain replies without {name}: what OpenAIChat does there is lost"
