"""LangChain's chat model for OpenAI's API, with the thoughts of other servers and less work a call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI

from cof_agent.dialects.thoughts import KEY, parted
from cof_agent.errors import PolicyError
from cof_agent.policies.chat_replies import clean, completion
from cof_agent.policies.chat_streams import WatchedCompletions
from cof_agent.policies.endpoint_errors import NO_JSON
from cof_agent.policies.html_words import without_page


class OpenAIChat(ChatOpenAI):
    """Hands the messages to OpenAI's client as they are to be sent, and keeps the thoughts in what comes back.

    LangChain looks at each part of each message for forms of its own, and the client for names to translate. Ours have
    none, and with many questions at once each search is a tenth of all that the process has to do
    (`python -m tests.benchmarks.endpoint`). No public hook does what the private methods do that are replaced
    here; `tests/processes/policies/test_openai_chat_internals.py` tells when LangChain changes one of them.

    Servers that take a thought out of the text (vLLM and SGLang with a reasoning parser, DeepSeek, OpenRouter) send it
    beside `content`, as `reasoning_content` or `reasoning`. `dialects/thoughts.py` says where it ends up.
    """

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **options: Any,
    ) -> AIMessage:
        return super().invoke(_with_contents(input, _written(input)), config, stop=stop, **options)

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **options: Any,
    ) -> AIMessage:
        return await super().ainvoke(_with_contents(input, _written(input)), config, stop=stop, **options)

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **options: Any
    ) -> dict[str, Any]:
        written = _written(input_)
        short = _with_contents(input_, dict.fromkeys(written, ""))
        payload: dict[str, Any] = super()._get_request_payload(short, stop=stop, **options)
        if "messages" not in payload:  # the other API of OpenAI's
            return super()._get_request_payload(_with_contents(input_, written), stop=stop, **options)
        for at, parts in written.items():
            payload["messages"][at]["content"] = parts
        for at, apart in _thoughts(input_).items():
            payload["messages"][at] |= apart
        payload["extra_body"] = {**(payload.get("extra_body") or {}), "messages": payload["messages"]}
        payload["messages"] = []  # what is in extra_body replaces it
        return payload

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        if isinstance(response, str):  # a page of HTML perhaps
            said = without_page(response[:20_000])[:500]
            raise PolicyError(f"{NO_JSON} It says: {said}" if said.strip() else f"{NO_JSON} It is empty.")
        reply = completion(response.model_dump(warnings=False) if hasattr(response, "model_dump") else response)
        result = super()._create_chat_result(reply, generation_info)
        message = result.generations[0].message
        _keep_beside(message, reply["choices"][0]["message"])
        if (parsed := _parsed(response)) is not None:
            message.additional_kwargs["parsed"] = parsed
        return result

    def _stream(self, *args: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        watched = WatchedCompletions(self.client, asynchronous=False)
        yield from ChatOpenAI._stream(self.model_copy(update={"client": watched}), *args, **options)

    async def _astream(self, *args: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        watched = WatchedCompletions(self.async_client, asynchronous=True)
        copy = self.model_copy(update={"async_client": watched})
        async for piece in ChatOpenAI._astream(copy, *args, **options):
            yield piece

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        piece = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        choices = chunk.get("choices")
        if piece is not None and choices:
            _keep_beside(piece.message, choices[0].get("delta"))
        return piece


def _written(given: LanguageModelInput) -> dict[int, list[str | dict[Any, Any]]]:
    """By position, the contents of the users' messages of images and text, in the form of OpenAI's API."""
    messages = () if isinstance(given, str | PromptValue) else given
    return {at: parts for at, message in enumerate(messages) if (parts := _parts(message)) is not None}


def _thoughts(given: LanguageModelInput) -> dict[int, dict[str, str]]:
    """By position, turns of the policy whose thoughts go back apart from their text, in the form of vLLM and SGLang.

    A dialect marks such turns with the thought beside their text. vLLM knows it as `reasoning`, others under its older
    name alone.
    """
    found: dict[int, dict[str, str]] = {}
    for at, message in enumerate(() if isinstance(given, str | PromptValue) else given):
        if isinstance(message, AIMessage) and message.additional_kwargs.get(KEY) and isinstance(message.content, str):
            thought, said = parted(message.content)
            found[at] = {"content": said, KEY: thought, "reasoning": thought}
    return found


def _with_contents(given: LanguageModelInput, contents: Mapping[int, Any]) -> LanguageModelInput:
    if not contents:
        return given
    return [
        message.model_copy(update={"content": contents[at]})
        if at in contents and isinstance(message, BaseMessage)
        else message
        for at, message in enumerate(given)
    ]


def _parts(message: object) -> list[str | dict[Any, Any]] | None:
    """The content of a user's message as the API takes it; None where it is a text or has parts of other forms."""
    if not isinstance(message, HumanMessage) or isinstance(message.content, str):
        return None
    parts: list[str | dict[Any, Any]] = []
    for block in message.content:
        if isinstance(block, dict) and block.get("type") == "image" and block.keys() == {"type", "base64", "mime_type"}:
            url = f"data:{block['mime_type']};base64,{block['base64']}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
        elif _is_part(block):
            parts.append(block)
        else:
            return None
    return parts


def _is_part(block: object) -> bool:
    """Whether a content block is just as the API takes it."""
    if not isinstance(block, dict):
        return False
    kind = block.get("type")
    return kind in ("text", "image_url") and block.keys() == {"type", kind}


def _keep_beside(message: BaseMessage, said: object) -> None:
    """Keep what stands beside the text of `said`, a message or a piece of one: the thought and a refusal."""
    if not isinstance(said, Mapping):
        return
    thought, refusal = said.get(KEY) or said.get("reasoning"), said.get("refusal")
    if isinstance(thought, str) and thought:
        message.additional_kwargs[KEY] = clean(thought)
    if isinstance(refusal, str) and refusal:
        message.additional_kwargs["refusal"] = refusal


def _parsed(response: object) -> object:
    """What OpenAI's client has made of a reply in a form that it was asked for, if it was."""
    choices = getattr(response, "choices", None)
    first = choices[0] if isinstance(choices, list) and choices else None
    return getattr(getattr(first, "message", None), "parsed", None)
