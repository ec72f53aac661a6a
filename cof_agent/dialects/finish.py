"""How a reply came to its end, as its server says."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from langchain_core.messages import BaseMessage

ENDS = ("finish_reason", "finishReason", "status", "done_reason", "stop_reason", "stopReason")
"""Keys of a message's metadata under which LangChain's models keep it: OpenAI, its Responses API, Ollama, Anthropic,
Google, Bedrock."""

_CUT = (
    "length",
    "max_token",
    "max_output",
    "max_new",
    "max_len",
    "context_window",
    "token_limit",
    "truncat",
    "abandoned",
)
"""Parts of the reasons with which servers end a reply that had no more room: `length` (OpenAI, vLLM, SGLang,
llama.cpp, Ollama), `max_tokens` (Anthropic, Bedrock, Cohere), `MAX_TOKENS` (Google), `max_output_tokens` (OpenAI's
Responses), `model_length` (Mistral), `model_context_window_exceeded` (Anthropic), `REASON_MAX_LEN` (xAI)."""

_FILTERED = (
    *("filter", "safety", "recitation", "blocklist", "prohibited", "spii", "refusal", "guardrail", "sensitive"),
    *("toxic", "moderation", "blocked", "violation"),
)
"""Parts of the reasons with which servers withhold a reply: `content_filter` (OpenAI, Azure), `refusal` (Anthropic),
`SAFETY`, `RECITATION`, `SPII`, `PROHIBITED_CONTENT` (Google), `guardrail_intervened` (Bedrock)."""

_WHOLE = ("stop", "eos", "end_turn", "end", "tool_calls", "tool_call", "tool_use", "function_call", "completed", "done")
"""Reasons with which a turn ended by itself, at a stop string included."""


class Finish(StrEnum):
    """How a reply ended."""

    WHOLE = "whole"
    """By itself: with the end of its turn, or with a stop string, which servers may leave out."""
    CUT = "cut"
    """Where it had no more room."""
    FILTERED = "filtered"
    """Where its server withheld the rest."""
    UNKNOWN = "unknown"
    """Nobody says, as is usual of models that run in this process."""


def finish_of(message: BaseMessage) -> Finish:
    """How the reply in `message` ended."""
    metadata = message.response_metadata
    reason = reason_of(metadata).lower()
    details = metadata.get("incomplete_details")
    inside = str(details.get("reason") or "").lower() if isinstance(details, Mapping) else ""
    said = f"{reason} {inside}"
    # Pieces of a stream are joined by LangChain, their reasons too: "stopMAX_TOKENS".
    if any(part in said for part in _FILTERED):
        return Finish.FILTERED
    if any(part in said for part in _CUT) or "incomplete" in reason or metadata.get("truncated") is True:
        return Finish.CUT
    return Finish.WHOLE if reason.startswith(_WHOLE) else Finish.UNKNOWN


def reason_of(metadata: Mapping[str, Any]) -> str:
    """The reason in a server's own words; empty where it gives none."""
    found = (metadata.get(name) for name in ENDS)
    return next((reason for reason in found if isinstance(reason, str) and reason), "")
