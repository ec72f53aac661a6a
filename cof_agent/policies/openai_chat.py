"""LangChain's chat model for OpenAI's API, with the thoughts of other servers and less work a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI


class OpenAIChat(ChatOpenAI):
    """Hands the messages to OpenAI's client as they are to be sent, and keeps the thoughts in what comes back.

    The client looks into each part of each message for names to translate. These have none, and with many questions
    at once that search is a tenth of all that the process has to do (`python -m tests.bench_endpoint`).

    Servers that take a thought out of the text (vLLM and SGLang with a reasoning parser, DeepSeek, OpenRouter) send it
    beside `content`, as `reasoning_content` or `reasoning`. It ends up in `additional_kwargs["reasoning_content"]`.
    """

    def _get_request_payload(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(*arguments, **options)
        if "messages" in payload:
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


def _keep_thought(message: BaseMessage, said: object) -> None:
    """`said`: the message or delta as the server sent it."""
    if not isinstance(said, Mapping):
        return
    thought = said.get("reasoning_content") or said.get("reasoning")
    if isinstance(thought, str) and thought:
        # Half of a surrogate pair could be neither saved nor sent back.
        message.additional_kwargs["reasoning_content"] = thought.encode(errors="replace").decode()
