"""A reply of the model as it is written, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cof_agent.errors import ConfigError

_BROKEN = "�"
"""Stands in decoded text for bytes that are not a whole character (yet)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a reply ends."""

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """Texts that end it and are not part of it."""
    stop_after: tuple[str, ...] = ()
    """Texts that end it and are its last words; the end of the turn is then written for the model."""
    ends: tuple[int, ...] = ()
    """Ids that end the turn; the first is the one that is written for the model."""

    def __post_init__(self) -> None:
        longest = self.max_new_tokens
        if not isinstance(longest, int) or isinstance(longest, bool) or longest < 1:
            raise ConfigError(f"max_new_tokens must be a whole number of at least 1, not {longest!r}")


@dataclass(slots=True, eq=False)
class Reply:
    """What was written so far."""

    tokenizer: Any = field(repr=False)
    limits: Limits
    logprobs: list[float] | None = None
    """Natural log-probabilities of `ids` under the model's own distribution; None: not wanted."""
    logits: list[Any] | None = field(default=None, repr=False)
    """The model's raw scores before each token; None: not wanted."""
    on_text: Callable[[str], None] | None = None
    """Gets the text as it comes, in whole characters; together the pieces are `text`."""
    should_end: Callable[[], bool] = lambda: False
    """Whether nobody waits for the reply any more."""
    on_done: Callable[[], None] = lambda: None
    """Called once, as soon as the reply has ended."""
    silent: frozenset[int] = frozenset()
    """Ids that are in no text: see `Checkpoint.structure`."""
    ids: list[int] = field(default_factory=list)
    """What the policy wrote, end of turn included."""
    written: list[int] = field(default_factory=list)
    """What the model was given to go on from: differs from `ids` where the end was mended."""
    text: str = ""
    finish_reason: Literal["stop", "length", "abandoned"] | None = None
    forced: int = 0
    """How many of the last `ids` were not chosen by the model."""
    prompt_tokens: int = 0
    visual_tokens: int = 0
    seed: int | None = None
    """What the choice of its tokens was drawn with, if it was drawn."""
    reused_tokens: int = 0
    """Tokens of the prompt that did not have to be run."""
    _pending: list[int] = field(default_factory=list)
    _sent: int = 0

    @property
    def done(self) -> bool:
        return self.finish_reason is not None

    @property
    def begun(self) -> bool:
        """Whether some of it was handed out."""
        return self._sent > 0

    def add(self, token: int, logprob: float) -> None:
        """The model's next token."""
        self.written.append(token)
        self.ids.append(token)
        if self.logprobs is not None:
            self.logprobs.append(logprob)
        if token in self.limits.ends:
            self._flush()
            self._end("stop")
            return
        self._pending.append(token)
        piece = self._decode(self._pending)
        if not piece.endswith(_BROKEN):
            self._read(piece)
        if not self.done and len(self.written) >= self.limits.max_new_tokens:
            self._flush()
            self._end("length")
        self._send()

    def abandon(self) -> None:
        """End it where it is."""
        if not self.done:
            self._end("abandoned")

    def _flush(self) -> None:
        if self._pending:
            self._read(self._decode(self._pending))

    def _read(self, piece: str) -> None:
        before, last = len(self.text), self._pending
        self.text, self._pending = self.text + piece, []
        stop = self._stop(before)
        if stop is None:
            return
        start, word = stop
        if word not in self.limits.stop_after:
            self.text = self.text[:start]
            self._end("stop")
            return
        end = start + len(word)
        if len(self.text) > end:  # the last token says more than the stop: what is kept is written in other tokens
            self._replace(last, self.text[before:end])
            self.text = self.text[:end]
        if self.limits.ends:
            self._append([self.limits.ends[0]])
        self._end("stop")

    def _stop(self, before: int) -> tuple[int, str] | None:
        """The first stop in the text that ends after position `before`, and where it starts."""
        words = self.limits.stop + self.limits.stop_after
        found = [(self.text.find(word, max(0, before - len(word) + 1)), word) for word in words]
        return min(((at, word) for at, word in found if at >= 0), default=None)

    def _replace(self, last: Sequence[int], text: str) -> None:
        kept = len(self.ids) - len(last)
        del self.ids[kept:]
        if self.logprobs is not None:
            del self.logprobs[kept:]
        self._append(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _append(self, ids: Sequence[int]) -> None:
        self.ids += ids
        self.forced += len(ids)
        if self.logprobs is not None:
            self.logprobs += [0.0] * len(ids)  # certain: the model had no choice

    def _decode(self, ids: Sequence[int]) -> str:
        return decoded(self.tokenizer, ids, self.silent)

    def _end(self, reason: Literal["stop", "length", "abandoned"]) -> None:
        self.finish_reason = reason
        self._send()
        self.on_done()

    def _send(self) -> None:
        if self.on_text is None:
            return
        held = 0 if self.done else max((_overlap(self.text, word) for word in self.limits.stop), default=0)
        piece = self.text[self._sent : len(self.text) - held]
        if piece:
            self._sent += len(piece)
            self.on_text(piece)


def decoded(tokenizer: Any, ids: Sequence[int], silent: frozenset[int]) -> str:
    """The text of a policy's ids; those that are `silent` have no part in it."""
    spoken = [token for token in ids if token not in silent]
    text: str = tokenizer.decode(spoken, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def _overlap(text: str, word: str) -> int:
    """How much of the end of `text` may be the beginning of `word`."""
    return next((size for size in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:size])), 0)
