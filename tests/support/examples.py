"""How many examples a test looks at: all of them in the whole suite, few with `make quick`."""

from __future__ import annotations

from hypothesis import settings

WHOLE, QUICK = 100, 15
"""Of a property, where its test does not say how many."""


def examples(most: int) -> settings:
    """The decorator of a property that looks at `most` examples in the whole suite."""
    return settings(max_examples=sampled(most))


def sampled(most: int) -> int:
    return -(-most * settings.default.max_examples // WHOLE)
