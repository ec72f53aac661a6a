"""Which scenes are for training and which are for tests: ranges of seeds that never meet."""

from __future__ import annotations

from enum import StrEnum

from cof_agent.errors import ConfigError

_HELD_OUT = 1_000_000
"""Scenes in each of the two splits that nothing is trained on."""


class Split(StrEnum):
    """A set of scenes. Seeds: test 0 to 999,999, validation 1,000,000 to 1,999,999, train from 2,000,000 up."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"

    @classmethod
    def of(cls, seed: int) -> Split:
        """The split that the scene of a seed (0 or more) belongs to."""
        return (cls.TEST, cls.VALIDATION, cls.TRAIN)[min(seed // _HELD_OUT, 2)]

    def seed(self, number: int) -> int:
        """The seed of scene `number` (from 0) of this split. Raises ConfigError for a number that it does not have."""
        if number < 0 or (number >= _HELD_OUT and self is not Split.TRAIN):
            last = "" if self is Split.TRAIN else f" to {_HELD_OUT - 1:,}"
            raise ConfigError(f"the {self} split has no scene {number}: its numbers go from 0{last}")
        return number + {Split.TEST: 0, Split.VALIDATION: _HELD_OUT, Split.TRAIN: 2 * _HELD_OUT}[self]
