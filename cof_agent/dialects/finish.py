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


_CALLING = ("tool_call", "tool_use", "function_call")
"""Beginnings of the reasons with which a turn ends for its calls."""

_BROKEN = (
    "error",
    "network_error",
    "timeout",
    "malformed",
    "repetition",
    "in_progress",
    "pause_turn",
    "unexpected_tool",
)
_BROKEN_WHOLE = (
    "other",
    "abort",
    "aborted",
    "failed",
    "cancelled",
    "canceled",
    "insufficient_system_resource",
    "queued",
)
"""Reasons, and beginnings of reasons, with which a reply ended that failed on its server's side."""


class Finish(StrEnum):
    """How a reply ended."""

    WHOLE = "whole"
    """By itself: with the end of its turn, or with a stop string, which servers may leave out."""
    CUT = "cut"
    """Where it had no more room."""
    FILTERED = "filtered"
    """Where its server withheld the rest."""
    BROKEN = "broken"
    """Where something failed on its server's side, or where it has not ended at all."""
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
    if is_broken(reason):
        return Finish.BROKEN
    return Finish.WHOLE if reason.startswith(_WHOLE) else Finish.UNKNOWN


def is_broken(reason: str) -> bool:
    """Whether a reason, in a server's words, says that its reply failed."""
    reason = reason.lower()
    return reason.startswith(_BROKEN) or reason in _BROKEN_WHOLE


def is_for_calls(message: BaseMessage) -> bool:
    """Whether the server says that the turn ended for its calls."""
    return reason_of(message.response_metadata).lower().startswith(_CALLING)


def reason_of(metadata: Mapping[str, Any]) -> str:
    """The reason in a server's own words; empty where it gives none."""
    found = (metadata.get(name) for name in ENDS)
    return next((reason for reason in found if isinstance(reason, str) and reason), "")
