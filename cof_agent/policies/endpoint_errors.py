"""How an endpoint failed, and whether the failure may pass.

Reads the errors of any client by what they have in common: an HTTP status, headers, LangChain's own kinds, the names
of their classes. No client is imported.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from langchain_core.messages import AIMessage

from cof_agent.dialects.finish import ENDS, is_broken
from cof_agent.errors import CofError, PolicyError
from cof_agent.policies.html_words import READ_AHEAD, without_page
from cof_agent.policies.prompt_size import is_too_long
from cof_agent.policies.redaction import hide

MAX_WORDS = 500
"""Characters of a server's words that are kept: some answer with a page of HTML."""

_STATUS_NAMES = ("status_code", "http_status", "status", "code")

_PASSING = {408, 409, 429}
"""With 5xx: what the clients of OpenAI and Anthropic repeat. 409 is a lock that was not free."""

_STAYING = {501, 505}
"""The two of 5xx that no waiting mends: the server knows no such method, or no such version of HTTP."""

_NEVER_SENT = {"LocalProtocolError", "InvalidHeader"}
"""What httpx and requests raise for a header that HTTP does not allow."""

_PASSING_KINDS = {
    *("TimeoutException", "NetworkError", "RemoteProtocolError"),  # httpx, httpx2, httpcore
    *("APIConnectionError", "APITimeoutError"),  # openai, anthropic and the many clients made like theirs
    *("ClientConnectionError", "ClientPayloadError", "ServerTimeoutError"),  # aiohttp
    *("ReadTimeout", "ConnectTimeout", "ChunkedEncodingError"),  # requests
    *("ReadTimeoutError", "ConnectTimeoutError", "ProtocolError", "EndpointConnectionError"),  # urllib3, botocore
}

_NOT_CONNECTED = {"ConnectError", "ConnectTimeout", "ClientConnectorError", "NewConnectionError"}
"""What the clients raise where nobody answers at an address."""

_STREAM_ERRORS = {"APIError", "ResponseError"}
"""What the clients of OpenAI and Ollama raise, without a status, for an error that comes inside a stream."""

_NOTHING = ("No generations found in stream", "No data received from", "Event loop is closed")
"""How LangChain and its Ollama model begin a ValueError about a stream that held nothing, and what comes of an open
connection that a client kept from an earlier asyncio loop."""

_FAULTS_OF_THE_CALL = {
    *("invalid_request_error", "authentication_error", "permission_error", "not_found_error"),  # OpenAI, Anthropic
    *("invalid_api_key", "model_not_found", "context_length_exceeded"),
    *("BadRequestError", "NotFoundError", "AuthenticationError"),  # vLLM
    *("INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"),  # Google
}
_OVERFLOWS = {"ContextOverflowError"}
"""LangChain's own kind, of which several providers' errors are."""

_NO_MONEY = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"}
"""Comes as 429, and does not pass by waiting."""


NO_JSON = (
    "the reply is no JSON that can be read: is the base URL (--base-url, base_url) the address of an OpenAI-compatible "
    "API, which as a rule ends in /v1?"
)


class PromptTooLongError(PolicyError):
    """The endpoint takes no prompt of this length, or with so many images. Does not pass."""


class BrokenReplyError(PolicyError):
    """A reply that broke off before its end, or that is none. Passes."""


class SentError(BrokenReplyError):
    """An error that came as the reply itself, with the status 200. Passes as an error of its own code would."""

    def __init__(self, body: object) -> None:
        super().__init__(_said(body) or f"the reply is an error: {body!r:.200}")
        self.body = body


@dataclass(frozen=True, slots=True)
class EndpointFailure:
    """How an endpoint failed."""

    words: str
    """Status and the server's own words, without secrets."""
    passes: bool
    """Whether asking again may help."""
    status: int | None = None
    too_long: bool = False
    """Whether the prompt was too long, or had too many images."""
    wait: float | None = None
    """Seconds after which the server wants to be asked again."""


def read_failure(error: BaseException, *, endpoint: bool, secrets: Collection[str] = ()) -> EndpointFailure | None:
    """What `error` says of an endpoint; None where it is no endpoint's failure.

    `endpoint`: the model is of a provider's package, so that replies it cannot read are the server's fault.
    """
    if isinstance(error, CofError) and not isinstance(error, BrokenReplyError):
        return None
    chain = list(_chain(error))
    status = next(filter(None, map(_status, chain)), None)
    said = _words(chain)[:READ_AHEAD]
    too_long = is_too_long(said, set().union(*map(_code, chain)), status) or _is_kind(error, _OVERFLOWS)
    passes = not too_long and _passes(chain, status, endpoint)
    sent = _is_kind(error, _STREAM_ERRORS) or isinstance(error, SentError)
    if status is None and not passes and not (too_long or sent or _is_connection(chain)):
        return None
    words = without_page(hide(said + _unreached(chain), secrets))
    words = words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 1] + "…"
    wait = _retry_after(_headers(chain), time.time()) if passes else None
    return EndpointFailure(f"HTTP {status}: {words}" if status else words, passes, status, too_long, wait)


def check_ended(reply: AIMessage, model: type) -> None:
    """Raise BrokenReplyError for a reply of an OpenAI-compatible or Ollama server that just stops.

    A stream whose end is missing looks like a reply to LangChain; other providers' clients find out themselves.
    """
    if not _packages(model) & {"langchain_openai", "langchain_ollama"}:
        return
    reasons = [reply.response_metadata[name] for name in ENDS if name in reply.response_metadata]
    if not reasons and reply.response_metadata.get("done") is not True:  # Ollama's last piece
        raise BrokenReplyError(
            "the stream ended without a finish reason (a server that never sends one needs streaming=False)"
        )
    if reasons and isinstance(reasons[0], str) and is_broken(reasons[0]):
        raise BrokenReplyError(f"the reply ended with the finish reason {reasons[0]!r}")


def is_endpoint(model: type) -> bool:
    """Whether a model's class comes from the package of a provider."""
    return any(package.startswith("langchain_") for package in _packages(model) - {"langchain_core"})


def _packages(model: type) -> set[str]:
    return {base.__module__.partition(".")[0] for base in model.__mro__}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, at most eight."""
    current: BaseException | None = error
    for _ in range(8):
        if current is None:
            return
        yield current
        current = current.__cause__


def _passes(chain: list[BaseException], status: int | None, endpoint: bool) -> bool:
    if any(_code(error) & _NO_MONEY or isinstance(error, ssl.SSLCertVerificationError) for error in chain):
        return False
    if any(_is_kind(error, _NEVER_SENT) for error in chain):
        return False
    if status is not None:
        told = _headers(chain).get("x-should-retry")  # OpenAI's and Anthropic's servers know best
        mends = status in _PASSING or (status >= 500 and status not in _STAYING)
        return told == "true" or (told != "false" and mends)
    error = chain[0]
    known: object = getattr(error, "is_retryable", None)  # LangChain's own kinds of errors
    if isinstance(known, bool):
        return known
    if _is_kind(error, _STREAM_ERRORS) or isinstance(error, SentError):
        return not _code(error) & _FAULTS_OF_THE_CALL
    if isinstance(error, BrokenReplyError) or _is_connection(chain):
        return True
    unread = isinstance(error, json.JSONDecodeError | RecursionError | IndexError) or str(error).startswith(_NOTHING)
    return endpoint and (unread or isinstance(error, TimeoutError))


def _is_connection(chain: list[BaseException]) -> bool:
    return any(isinstance(error, ConnectionError) or _is_kind(error, _PASSING_KINDS) for error in chain)


def _unreached(chain: list[BaseException]) -> str:
    """Which address could not be reached, where a connection was not made and the client tells."""
    if not any(isinstance(error, ConnectionRefusedError) or _is_kind(error, _NOT_CONNECTED) for error in chain):
        return ""
    for error in chain:
        try:
            url: Any = error.request.url  # type: ignore[attr-defined]
            place = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
        except (AttributeError, RuntimeError):  # httpx raises this where an error has no request
            continue
        return f"; is the server at {place} running, and is that its address?"
    return ""


def _is_kind(error: BaseException, names: Collection[str]) -> bool:
    return any(base.__name__ in names for base in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    """The HTTP status of an error, wherever its client keeps it."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        found = [response.get("ResponseMetadata", {}).get("HTTPStatusCode")]
    else:
        found = [getattr(response, name, None) for name in ("status_code", "status")]
    found += [getattr(error, name, None) for name in _STATUS_NAMES]
    body = getattr(error, "body", None)
    for _ in range(2):  # inside a stream, or of a reply that is an error itself
        if isinstance(body, Mapping):
            found += [body.get(name) for name in _STATUS_NAMES]
            body = body.get("error")
    return next((status for value in found if (status := _as_status(value)) is not None), None)


def _as_status(value: object) -> int | None:
    """An HTTP status of an error, also where it is written as text."""
    if isinstance(value, str) and len(value) == 3 and value.isdecimal():
        value = int(value)
    return int(value) if isinstance(value, int) and 400 <= value < 600 else None


def _code(error: BaseException) -> set[str]:
    """The words by which a vendor names the error."""
    body = getattr(error, "body", None)
    inside = body.get("error", body) if isinstance(body, Mapping) else None
    named = inside if isinstance(inside, Mapping) else {}
    found = (getattr(error, "code", None), getattr(error, "type", None), named.get("code"), named.get("type"))
    return {value for value in found if isinstance(value, str)}


def _headers(chain: list[BaseException]) -> dict[str, str]:
    for error in chain:
        headers: Any = getattr(getattr(error, "response", None), "headers", None)
        if hasattr(headers, "items"):
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until a server wants to be asked again: `Retry-After` has seconds or a date. `now`: Unix time."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - now)
    except (KeyError, ValueError, OverflowError):
        return None


def _words(chain: list[BaseException]) -> str:
    """What the server said; without it what the client says, and why."""
    for error in chain:
        body = getattr(error, "body", None)
        said = _said(body) or _said(getattr(error, "error", None))
        if said:
            return said
    if any(isinstance(error, json.JSONDecodeError | RecursionError) for error in chain):
        return NO_JSON
    texts = [str(error).strip() or type(error).__name__ for error in chain]
    first, last = texts[0], texts[-1]
    if isinstance(chain[0], IndexError | TimeoutError) or not str(chain[0]).strip():
        first = f"the reply could not be read ({type(chain[0]).__name__}: {first})"
    return first if last in first else f"{first.rstrip('.')}: {last}"


def _said(body: object) -> str | None:
    """The message in the body of an error, in any of the usual forms."""
    for _ in range(3):
        if not isinstance(body, Mapping):
            break
        body = next((body[name] for name in ("message", "error", "detail", "msg") if body.get(name)), None)
    if isinstance(body, list | Mapping):
        body = json.dumps(body, default=str)
    return body.strip() or None if isinstance(body, str) else None
