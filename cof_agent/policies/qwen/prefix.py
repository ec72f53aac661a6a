"""States of conversations that were run before, so that their next turn starts where they ended.

A state is the model's cache of keys and values. It is the same for two prompts as far as their token ids are equal and
their images are: every token depends on those before it and on nothing after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

Key = list[int | str]
"""What decides a state, position by position: see `Prompt.key`."""


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Key
    """As long as the cache."""
    asked: int
    """Tokens of the prompt; the reply follows."""
    cache: Any
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

    def take(self, key: Key) -> tuple[Any, int]:
        """The state that fits most of the beginning of `key`, and for how many tokens; (None, 0) where none does.

        At least the last token is left to be run. The state is the caller's: it is in the pool no more, so that a run
        that fails halfway leaves nothing behind. Where the prompts part before the reply, which may mean another
        conversation about the same image, the caller gets a copy of the common part.
        """
        fits = [(min(_common(entry.key, key), len(key) - 1), entry) for entry in self._entries]
        shared, entry = max(fits, key=lambda fit: fit[0], default=(0, None))
        if entry is None or shared <= 0:
            return None, 0
        if shared == len(entry.key):
            self._entries.remove(entry)
            return entry.cache, shared
        if not _croppable(entry.cache):
            return None, 0
        if shared >= entry.asked - 1:
            self._entries.remove(entry)
            entry.cache.crop(shared - len(entry.key))
            return entry.cache, shared
        return _copy(entry.cache, shared), shared

    def put(self, key: Key, asked: int, cache: Any) -> None:
        """Keep the state after `key`, of which the first `asked` tokens were the prompt; drop what is then too much."""
        if self.conversations < 1:
            return
        entry = _Entry(key, asked, cache, _size(cache))
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


def _croppable(cache: Any) -> bool:
    """Layers with a sliding window have forgotten what a shorter state would need."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _copy(cache: Any, tokens: int) -> Any:
    copy = DynamicCache()
    for index, layer in enumerate(cache.layers):
        copy.update(layer.keys[..., :tokens, :].clone(), layer.values[..., :tokens, :].clone(), index)
    return copy


def _size(cache: Any) -> int:
    held = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values) if tensor is not None]
    return sum(tensor.untyped_storage().nbytes() for tensor in held)
