"""LangChain's chat model for OpenAI's API, with the thoughts of other servers and less work a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_openai import ChatOpenAI


class OpenAIChat(ChatOpenAI):
    """Hands the messages to OpenAI's client as they are to be sent, and keeps the thoughts in what comes back.

    LangChain looks at each part of each message for forms of its own, and the client for names to translate. Ours have
    none, and with many questions at once each search is a tenth of all that the process has to do
    (`python -m tests.benchmarks.endpoint`).

    Servers that take a thought out of the text (vLLM and SGLang with a reasoning parser, DeepSeek, OpenRouter) send it
    beside `content`, as `reasoning_content` or `reasoning`. It ends up in `additional_kwargs["reasoning_content"]`.
    """

    def _convert_input(self, model_input: LanguageModelInput) -> PromptValue:
        messages = super()._convert_input(model_input).to_messages()
        return ChatPromptValue(messages=[_written(message) for message in messages])

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **options: Any
    ) -> dict[str, Any]:
        messages = self._convert_input(input_).to_messages()
        ready = {at: message.content for at, message in enumerate(messages) if _is_written(message)}
        short = [
            message.model_copy(update={"content": ""}) if at in ready else message
            for at, message in enumerate(messages)
        ]
        payload: dict[str, Any] = super()._get_request_payload(short, stop=stop, **options)
        if "messages" not in payload:  # the other API of OpenAI's
            return super()._get_request_payload(messages, stop=stop, **options)
        for at, parts in ready.items():
            payload["messages"][at]["content"] = parts
        payload["extra_body"] = {**(payload.get("extra_body") or {}), "messages": payload["messages"]}
        payload["messages"] = []  # what is in extra_body replaces it
        return payload

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        choices = response["choices"] if isinstance(response, dict) else response.choices
        for generation, choice in zip(result.generations, choices, strict=True):
            said = choice["message"] if isinstance(choice, dict) else choice.message.model_extra
            _keep_thought(generation.message, said)
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        piece = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        choices = chunk.get("choices")
        if piece is not None and choices:
            _keep_thought(piece.message, choices[0].get("delta"))
        return piece


def _written(message: BaseMessage) -> BaseMessage:
    """A user's message of images and text with its images in the form of OpenAI's API; any other as it is."""
    if not isinstance(message, HumanMessage) or isinstance(message.content, str):
        return message
    parts: list[str | dict[str, Any]] = []
    for block in message.content:
        if isinstance(block, dict) and block.get("type") == "image" and block.keys() == {"type", "base64", "mime_type"}:
            url = f"data:{block['mime_type']};base64,{block['base64']}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
        elif _is_part(block):
            parts.append(block)
        else:
            return message
    return message.model_copy(update={"content": parts})


def _is_written(message: BaseMessage) -> bool:
    return (
        isinstance(message, HumanMessage)
        and not isinstance(message.content, str)
        and all(map(_is_part, message.content))
    )


def _is_part(block: object) -> bool:
    """Whether a content block is just as the API takes it."""
    if not isinstance(block, dict):
        return False
    kind = block.get("type")
    return kind in ("text", "image_url") and block.keys() == {"type", kind}


def _keep_thought(message: BaseMessage, said: object) -> None:
    """`said`: the message or delta as the server sent it."""
    if not isinstance(said, Mapping):
        return
    thought = said.get("reasoning_content") or said.get("reasoning")
    if isinstance(thought, str) and thought:
        # Half of a surrogate pair could be neither saved nor sent back.
        message.additional_kwargs["reasoning_content"] = thought.encode(errors="replace").decode()
