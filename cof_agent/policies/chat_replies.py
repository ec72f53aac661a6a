"""Replies of OpenAI-compatible servers in the one form that OpenAI's own has, whatever a server makes of it.

Servers leave fields out, send null, an object where a text belongs, or an error with the status 200. A reply that
means something is read; for any other `BrokenReplyError` or `SentError` says what was wrong. Nothing is invented.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cof_agent.dialects.lenient_json import object_of
from cof_agent.policies.endpoint_errors import NO_JSON, BrokenReplyError, SentError

_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = {
    "prompt_tokens_details": ("audio_tokens", "cached_tokens", "cache_write_tokens"),
    "completion_tokens_details": ("audio_tokens", "reasoning_tokens"),
}
REFUSED = "the model refuses to answer"
"""What a refusal without words says."""

_MOST_CALLS = 1_000
"""Calls of a reply that are looked at; a dialect takes far fewer."""


def completion(reply: object) -> dict[str, Any]:
    """A whole chat completion as OpenAI's API has it. Raises BrokenReplyError, or SentError for an error in it."""
    if not isinstance(reply, Mapping):
        raise BrokenReplyError(f"the reply is no JSON object but {shown(reply)}; {NO_JSON.partition(': ')[2]}")
    check_no_error(reply)
    choice = _first(reply.get("choices"))
    if choice is None:
        raise BrokenReplyError(f"the reply has no choices: {shown(reply)}")
    check_no_error(choice)
    said = next((choice[key] for key in ("message", "delta") if isinstance(choice.get(key), Mapping)), None)
    if said is None:
        raise BrokenReplyError(f"the reply's choice has no message: {shown(choice)}")
    check_no_error({key: said[key] for key in ("error", "errors") if key in said})
    text, thought, refusal = spoken(said)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal or None}
    message |= {"reasoning_content": thought} if thought else {}
    if calls := [_whole_call(call) for call in asked(said)]:
        message["tool_calls"] = calls
    cut = {"finish_reason": "length"} if reply.get("truncated") is True or choice.get("truncated") is True else {}
    whole: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish(choice)} | cut
    if isinstance(choice.get("logprobs"), Mapping):
        whole["logprobs"] = dict(choice["logprobs"])
    found = {"choices": [whole], "usage": usage(reply.get("usage")), "model": _text(reply.get("model")) or ""}
    return found | ({"id": reply["id"]} if _text(reply.get("id")) else {})


def check_no_error(reply: Mapping[str, Any]) -> None:
    """Raise SentError for a reply, or a piece of one, that is an error."""
    if reply.get("error"):
        raise SentError(reply["error"])
    if isinstance(errors := reply.get("errors"), list | Mapping) and errors:
        raise SentError(errors[0] if isinstance(errors, list) and isinstance(errors[0], Mapping) else {"error": errors})
    if reply.get("object") == "error" or reply.get("type") == "error":
        raise SentError(dict(reply))
    if "choices" not in reply and "delta" not in reply and "message" not in reply and reply.get("detail"):
        raise SentError({"message": reply["detail"]} | {key: reply[key] for key in ("code", "status") if key in reply})
    if "choices" not in reply and isinstance(reply.get("message"), str):
        raise SentError(dict(reply))


def _first(choices: object) -> Mapping[str, Any] | None:
    found = choices if isinstance(choices, list) else [choices]
    return next((choice for choice in found if isinstance(choice, Mapping)), None)


def spoken(said: Mapping[str, Any]) -> tuple[str, str, str]:
    """Text, thought and refusal of a message or a piece of one. Raises BrokenReplyError for content of no known form.

    Content in blocks, as some servers send it, becomes one text.
    """
    texts, thoughts, refusals = [], [], []
    content = said.get("content")
    for block in content if isinstance(content, list) else [content]:
        if isinstance(block, Mapping):
            kind = block.get("type")
            if kind in ("thinking", "reasoning"):
                thoughts.append(_joined(block.get("thinking") or block.get("reasoning") or block.get("text")))
            elif kind == "refusal":
                refusals.append(_joined(block.get("refusal")))
            elif kind in ("text", "output_text", None) and isinstance(block.get("text"), str):
                texts.append(block["text"])
            elif kind in ("text", "output_text", None):
                raise BrokenReplyError(f"a block of the reply's content has no text: {shown(block)}")
        elif isinstance(block, str):
            texts.append(block)
        elif block is not None:
            raise BrokenReplyError(f"the reply's content is no text: {shown(content)}")
    beside = next((said[key] for key in _THOUGHTS if isinstance(said.get(key), str) and said[key]), "")
    refusal = said.get("refusal")
    thought = clean(beside or "".join(thoughts))
    return clean("".join(texts)), thought, clean(_refused(refusal) or "".join(refusals))


def _refused(refusal: object) -> str:
    """The words of a refusal, whatever form it has."""
    if isinstance(refusal, Mapping) and refusal:
        found = (refusal.get(key) for key in ("message", "refusal", "text", "reason", "explanation"))
        return next((said for said in found if isinstance(said, str) and said), REFUSED)
    return REFUSED if refusal is True else refusal if isinstance(refusal, str) else ""


def _joined(value: object) -> str:
    parts = value if isinstance(value, list) else [value]
    inner = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return "".join(part for part in inner if isinstance(part, str))


def asked(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The calls of a message or a piece of one, those of the API before `tools` included."""
    calls = said.get("tool_calls")
    found = calls if isinstance(calls, list) else [calls] if isinstance(calls, Mapping) and calls else []
    older = said.get("function_call")
    if not found and isinstance(older, Mapping) and older:
        found = [{"index": 0, "function": older}]
    return [call if isinstance(call, Mapping) else {"arguments": shown(call)} for call in found[:_MOST_CALLS]]


def function_of(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name and arguments of a call, also of one that has them outside of `function`."""
    function = call.get("function")
    return function if isinstance(function, Mapping) else call


def _whole_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = function_of(call)
    name = clean(_text(function.get("name")) or "")
    written = arguments_text(function.get("arguments", function.get("parameters")))
    args = object_of_json(written)
    # What is no object stays a text that is no JSON: LangChain then keeps it as a call that cannot be read.
    given = json.dumps(args) if args is not None and name else f"{written[:10_000]} (no object of arguments)"
    return {"id": identity(call), "type": "function", "function": {"name": name, "arguments": given}}


def arguments_text(given: object) -> str:
    """The arguments of a call as the text of their JSON; an object becomes it, and nothing at all an empty object."""
    if given is None or given == "":
        return "{}"
    return clean(given) if isinstance(given, str) else clean(json.dumps(given, default=str))


def object_of_json(written: str) -> dict[str, Any] | None:
    """The object of a text of JSON, also where it was encoded twice; None for anything else. Mends nothing."""
    try:
        value = json.loads(written, strict=False)
        value = json.loads(value, strict=False) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return object_of(written) if written.lstrip()[:1] == "{" and written.rstrip()[-1:] == "}" else None
    return value if isinstance(value, dict) else None


def identity(call: Mapping[str, Any]) -> str | None:
    """A call's id as text, whatever it was sent as; None where there is none."""
    own = call.get("id")
    return clean(str(own)) if isinstance(own, str | int) and not isinstance(own, bool) and own != "" else None


def finish(choice: Mapping[str, Any]) -> str | None:
    """Why a choice ended, in the server's word."""
    if _filtered(choice.get("content_filter_results")) or _filtered(choice.get("content_filter_result")):
        return "content_filter"  # Azure's
    reason = choice.get("finish_reason")
    reason = reason.get("type") if isinstance(reason, Mapping) else reason  # SGLang's own form
    return clean(reason) if isinstance(reason, str) and reason else None


def _filtered(results: object) -> bool:
    """Whether one of Azure's filters says that it withheld something."""
    found = results.values() if isinstance(results, Mapping) else ()
    return any(isinstance(result, Mapping) and result.get("filtered") is True for result in found)


def usage(given: object) -> dict[str, Any] | None:
    """The tokens that a server counted; None where it counted none. What is no count is 0."""
    if not isinstance(given, Mapping):
        return None
    found: dict[str, Any] = {name: _count(given.get(name)) for name in _COUNTS}
    found["total_tokens"] = found["total_tokens"] or found["prompt_tokens"] + found["completion_tokens"]
    for name, fields in _DETAILS.items():
        details = given.get(name)
        if isinstance(details, Mapping):
            found[name] = {field: _count(details[field]) for field in fields if details.get(field) is not None}
    return found


def _count(value: object) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    return int(value) if whole else 0  # type: ignore[call-overload]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def clean(text: str) -> str:
    """`text` without halves of surrogate pairs, which could be neither saved nor sent back."""
    return text.encode(errors="replace").decode()


def shown(value: object) -> str:
    """A short form of `value`, for messages."""
    return f"{value!r:.200}"
