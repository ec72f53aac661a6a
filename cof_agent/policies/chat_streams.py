"""Streams of OpenAI-compatible servers, piece by piece in the one form that OpenAI's own have.

OpenAI's client hands over whatever JSON comes. Here each piece is put right as in `chat_replies`, and the end is
watched: a stream that says `[DONE]` has ended properly, whether or not it gave a finish reason.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cof_agent.policies.chat_replies import (
    arguments_text,
    asked,
    check_no_error,
    clean,
    finish,
    function_of,
    identity,
    shown,
    spoken,
    usage,
)
from cof_agent.policies.endpoint_errors import BrokenReplyError

_DONE = re.compile(rb"(?:\A|[\r\n])data:[ ]?\[DONE\]")
_TAIL = 16
"""Bytes that are kept of what came before: the line that ends a stream may come in two pieces."""

ENDED = "unknown"
"""Finish reason of a stream that ended properly without one."""


class WatchedCompletions:
    """The chat completions of OpenAI's client, whose streams come as pieces that have been put right."""

    def __init__(self, completions: Any, *, asynchronous: bool) -> None:
        self._completions = completions
        self.create = self._acreate if asynchronous else self._create

    def __getattr__(self, name: str) -> Any:
        return getattr(self._completions, name)

    def _create(self, **payload: Any) -> Any:
        return PiecesOfReply(self._completions.create(**payload))

    async def _acreate(self, **payload: Any) -> Any:
        return AsyncPiecesOfReply(await self._completions.create(**payload))


class PiecesOfReply:
    """One stream."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._end, self._pieces = stream, _End(), _Pieces()
        _watch(stream, "iter_bytes", self._end.watched)

    def __enter__(self) -> PiecesOfReply:
        return self

    def __exit__(self, *why: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for chunk in self._stream:
            yield self._pieces.mended(chunk)
        yield from self._pieces.rest(self._end.seen)


class AsyncPiecesOfReply:
    """One stream, for asyncio."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._end, self._pieces = stream, _End(), _Pieces()
        _watch(stream, "aiter_bytes", self._end.awatched)

    async def __aenter__(self) -> AsyncPiecesOfReply:
        return self

    async def __aexit__(self, *why: object) -> None:
        await self._stream.close()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        async for chunk in self._stream:
            yield self._pieces.mended(chunk)
        for piece in self._pieces.rest(self._end.seen):
            yield piece


def _watch(stream: Any, reader: str, watched: Any) -> None:
    """Let `watched` see the bytes that OpenAI's stream reads from its response, before they are read as events."""
    response = getattr(stream, "response", None)
    if hasattr(response, reader):
        setattr(response, reader, watched(getattr(response, reader)))


@dataclass(slots=True)
class _End:
    """Whether a stream has said that it is done."""

    seen: bool = False
    _before: bytes = b""

    def see(self, data: bytes) -> None:
        self.seen = self.seen or _DONE.search(self._before + data) is not None
        self._before = (self._before + data)[-_TAIL:]

    def watched(self, read: Any) -> Any:
        def reads(*args: Any, **options: Any) -> Iterator[bytes]:
            for data in read(*args, **options):
                self.see(data)
                yield data

        return reads

    def awatched(self, read: Any) -> Any:
        async def reads(*args: Any, **options: Any) -> AsyncIterator[bytes]:
            async for data in read(*args, **options):
                self.see(data)
                yield data

        return reads


@dataclass(slots=True)
class _Pieces:
    """The pieces of one reply: which calls it has begun, and whether it has ended."""

    begun: bool = False
    ended: bool = False
    ids: dict[int, str | None] = field(default_factory=dict)
    """The calls begun, by their index."""
    names: dict[int, str] = field(default_factory=dict)

    def mended(self, chunk: Any) -> dict[str, Any]:
        """A piece as OpenAI's API has it. Raises BrokenReplyError, or SentError for an error in it."""
        chunk = chunk if isinstance(chunk, Mapping) else _dumped(chunk)
        check_no_error({key: value for key, value in chunk.items() if value is not None})
        choices = chunk.get("choices")
        found = choices if isinstance(choices, list) else [choices] if choices else []
        mended = [self._choice(choice) for choice in found[:1] if choice is not None]
        counted, model = usage(chunk.get("usage")), chunk.get("model")
        return {"choices": mended, "usage": counted, "model": model if isinstance(model, str) else None}

    def rest(self, done: bool) -> Iterator[dict[str, Any]]:
        """What is left to say at the end of a stream that has said that it is done."""
        if done and self.begun and not self.ended:
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": ENDED}], "usage": None}

    def _choice(self, choice: Any) -> dict[str, Any]:
        if not isinstance(choice, Mapping):
            raise BrokenReplyError(f"a piece of the reply has a choice that is no object: {shown(choice)}")
        check_no_error(choice)
        self.begun = True
        said: Any = next((choice[key] for key in ("delta", "message") if choice.get(key) is not None), {})
        if not isinstance(said, Mapping):
            raise BrokenReplyError(f"a piece of the reply is no object: {shown(said)}")
        text, thought, refusal = spoken(said)
        delta: dict[str, Any] = {"content": text}
        delta |= {"reasoning_content": thought} if thought else {}
        delta |= {"refusal": refusal} if refusal else {}
        if calls := [self._call(call) for call in asked(said)]:
            delta["tool_calls"] = calls
        reason = "length" if choice.get("truncated") is True else finish(choice)
        reason, self.ended = (None if self.ended else reason), self.ended or reason is not None
        return {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """A piece of a call. Servers leave out its index, and repeat its id and name in each piece."""
        function, own, index = function_of(call), identity(call), call.get("index")
        latest = max(self.ids, default=-1)
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            known = [at for at, id_ in self.ids.items() if own is not None and id_ == own]
            index = known[0] if known else latest + 1 if own is not None or latest < 0 else latest
        id_ = own if self.ids.get(index) is None else None
        self.ids[index] = self.ids.get(index) or own
        name, given = function.get("name"), function.get("arguments", function.get("parameters"))
        name = clean(name) if isinstance(name, str) and name and name != self.names.get(index) else None
        self.names[index] = self.names.get(index, "") + (name or "")
        written = arguments_text(given) if given not in (None, "") else ""
        return {
            "index": index,
            "id": id_,
            "function": {"name": name, "arguments": written},
        }


def _dumped(chunk: Any) -> Mapping[str, Any]:
    dump = getattr(chunk, "model_dump", None)
    if dump is None:
        raise BrokenReplyError(f"a piece of the reply is no JSON object but {shown(chunk)}")
    found: Mapping[str, Any] = dump(warnings=False)
    return found
