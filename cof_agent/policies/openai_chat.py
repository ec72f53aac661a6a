"""LangChain's chat model for OpenAI's API, without one walk through every message of every call."""

from __future__ import annotations

from typing import Any

from langchain_openai import ChatOpenAI


class OpenAIChat(ChatOpenAI):
    """Hands the messages to OpenAI's client as they are to be sent.

    The client looks into each part of each message for names to translate. These have none, and with many questions
    at once that search is a tenth of all that the process has to do (`python -m tests.bench_endpoint`).
    """

    def _get_request_payload(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(*arguments, **options)
        if "messages" in payload:
            payload["extra_body"] = {**(payload.get("extra_body") or {}), "messages": payload["messages"]}
            payload["messages"] = []  # what is in extra_body replaces it
        return payload
