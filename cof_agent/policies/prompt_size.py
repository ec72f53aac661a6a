"""Errors that say that a prompt was too long for its endpoint, or had more images than it takes."""

from __future__ import annotations

import re
from collections.abc import Collection

_CODES = frozenset(
    (
        "context_length_exceeded",  # OpenAI, Azure, Groq
        "exceed_context_size_error",  # llama.cpp
        "request_too_large",  # Anthropic
        "context_window_exceeded",
        "string_above_max_length",
    )
)

_STATUSES = frozenset((400, 413, 422, 500, None))
"""500 is what llama.cpp and Ollama have sent; None, an error inside of a stream. 429 is a limit of tokens a minute."""

_WORDS = re.compile(
    r"maximum context length|context_length_exceeded|exceed_context_size|ContextWindowExceeded"  # OpenAI, vLLM, SGLang
    r"|longer than the (?:maximum model length|model's context length)"  # vLLM, SGLang
    r"|exceeds? (?:the )?(?:model's )?(?:maximum |available )?(?:context|input)[ _]?(?:length|size|window|limit)"
    r"|exceeds? the (?:maximum|available) (?:number of tokens|context|input)"  # Google, llama.cpp
    r"|(?:input|prompt|request) (?:token count|tokens?) .{0,60}exceed"  # Google, OpenAI
    r"|(?:prompt|input|request|conversation) is too (?:long|large)"  # Anthropic, Bedrock
    r"|too (?:long|large) for (?:the )?(?:requested )?model"
    r"|reduce the length of the (?:messages|prompt|input)"  # OpenAI, Groq
    r"|must have less than \d{1,9} tokens|max_new_tokens. must be <="  # Text Generation Inference
    r"|at most \d{1,6} (?:image|multimodal|multi-modal|video)"  # vLLM
    r"|(?:too many|up to \d{1,6}|maximum (?:of|number of)?(?: \d{1,6})?|max(?:imum)? \d{1,6}|more than \d{1,6}) images"
    r"|images? (?:count|number)? ?exceeds? |number of images .{0,60}(?:exceed|limit|maximum)"
    r"|(?:payload|entity|body|request) (?:is )?too large",
    re.I | re.S,
)


def is_too_long(words: str, codes: Collection[str], status: int | None) -> bool:
    """Whether an error of an endpoint means the size of the prompt, by its `words`, `codes` and HTTP status."""
    if status == 413:
        return True
    return status in _STATUSES and (not _CODES.isdisjoint(codes) or _WORDS.search(words) is not None)
