"""States of conversations that were run before, so that their next turn starts where they ended.

A state is the model's cache of keys and values. It is the same for two prompts as far as their token ids are equal and
their images are: every token depends on those before it and on nothing after it.

Layers of linear attention (Qwen3.5) keep one state for all tokens together. It can go on, but not back to an earlier
token, so a copy of it is made at the end of each prompt: a `Snapshot`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, LinearAttentionLayer

Key = list[int | str]
"""What decides a state, position by position: see `Prompt.key`."""

_SNAPSHOTS = 2
"""Snapshots that a state keeps: each is as large as what the layers of linear attention hold."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What layers of linear attention held after so many tokens."""

    tokens: int
    states: tuple[tuple[dict[int, Any], dict[int, Any]], ...]
    """Of each such layer, in their order: what its convolution and its recurrence hold."""

    @classmethod
    def of(cls, cache: Any) -> Iterator[Snapshot]:
        """The snapshot of a cache as it is now; none where it needs none, or where one is not enough to go back."""
        linear = [layer for layer in cache.layers if type(layer) is LinearAttentionLayer]
        if not linear or any(type(layer) not in (LinearAttentionLayer, DynamicLayer) for layer in cache.layers):
            return
        yield cls(
            cache.get_seq_length(),
            tuple((_cloned(layer.conv_states), _cloned(layer.recurrent_states)) for layer in linear),
        )

    def restore(self, cache: Any) -> None:
        """Take `cache` back to the snapshot."""
        beyond = self.tokens - cache.get_seq_length()
        states = iter(self.states)
        for layer in cache.layers:
            if type(layer) is LinearAttentionLayer:
                convolution, recurrence = next(states)
                layer.conv_states, layer.recurrent_states = _cloned(convolution), _cloned(recurrence)
            else:
                layer.crop(beyond)

    @property
    def bytes(self) -> int:
        return sum(_held(tensor for states in layer for tensor in states.values()) for layer in self.states)


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Key
    """As long as the cache."""
    asked: int
    """Tokens of the prompt; the reply follows."""
    cache: Any
    snapshots: tuple[Snapshot, ...]
    """Where the cache can go back to, the earliest first."""
    bytes: int


class PrefixPool:
    """The newest states, within a number and a size. To be used by one thread at a time."""

    def __init__(self, conversations: int, max_bytes: int) -> None:
        self.conversations, self.max_bytes = conversations, max_bytes
        self._entries: list[_Entry] = []  # the least recently used first

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Memory that the states take."""
        return sum(entry.bytes for entry in self._entries)

    def take(self, key: Key) -> tuple[Any, int, tuple[Snapshot, ...]]:
        """The state that fits most of the beginning of `key`, its tokens and its snapshots; (None, 0, ()) for none.

        At least the last token is left to be run. The state is the caller's: it is in the pool no more, so that a run
        that fails halfway leaves nothing behind. Where the prompts part before the reply, which may mean another
        conversation about the same image, the caller gets a copy of the common part. Of a state with snapshots it gets
        what was there at the last snapshot that fits, or nothing.
        """
        fits = [(min(_common(entry.key, key), len(key) - 1), entry) for entry in self._entries]
        shared, entry = max(fits, key=lambda fit: fit[0], default=(0, None))
        if entry is None or shared <= 0:
            return None, 0, ()
        if shared == len(entry.key):
            self._entries.remove(entry)
            return entry.cache, shared, entry.snapshots
        if snapshots := tuple(snapshot for snapshot in entry.snapshots if snapshot.tokens <= shared):
            self._entries.remove(entry)
            snapshots[-1].restore(entry.cache)
            return entry.cache, snapshots[-1].tokens, snapshots
        if not can_be_cut(entry.cache):
            return None, 0, ()
        if shared >= entry.asked - 1:
            self._entries.remove(entry)
            entry.cache.crop(shared - len(entry.key))
            return entry.cache, shared, ()
        return _copy(entry.cache, shared), shared, ()

    def put(self, key: Key, asked: int, cache: Any, snapshots: Sequence[Snapshot] = ()) -> None:
        """Keep the state after `key`, of which the first `asked` tokens were the prompt; drop what is then too much.

        Of its `snapshots` the last two are kept: a turn is read again in other tokens, or the last message has changed.
        """
        if self.conversations < 1:
            return
        kept = tuple(snapshots[-_SNAPSHOTS:])
        entry = _Entry(key, asked, cache, kept, _size(cache) + sum(snapshot.bytes for snapshot in kept))
        if entry.bytes > self.max_bytes:
            return
        # A state that this one begins with has nothing to add.
        self._entries = [old for old in self._entries if _common(old.key, key) < len(old.key)]
        self._entries.append(entry)
        while len(self._entries) > self.conversations or self.bytes > self.max_bytes:
            del self._entries[0]

    def clear(self) -> None:
        self._entries.clear()


def _common(one: Key, other: Key) -> int:
    """Positions up to which both are equal."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:  # comparing slices is much faster than comparing tokens
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def can_be_cut(cache: Any) -> bool:
    """Whether a state can be made shorter.

    Layers with a sliding window have forgotten what a shorter state would need, those of linear attention are one sum.
    """
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _copy(cache: Any, tokens: int) -> Any:
    copy = DynamicCache()
    for index, layer in enumerate(cache.layers):
        copy.update(layer.keys[..., :tokens, :].clone(), layer.values[..., :tokens, :].clone(), index)
    return copy


def _cloned(states: dict[int, Any]) -> dict[int, Any]:
    return {index: None if state is None else state.clone() for index, state in states.items()}


def _size(cache: Any) -> int:
    return sum(_held(_tensors(layer)) for layer in cache.layers)


def _tensors(layer: Any) -> Iterator[Any]:
    if isinstance(layer, LinearAttentionLayer):
        yield from (*layer.conv_states.values(), *layer.recurrent_states.values())
    yield from (getattr(layer, "keys", None), getattr(layer, "values", None))


def _held(tensors: Iterable[Any]) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors if tensor is not None)
