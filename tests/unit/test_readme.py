"""What README.md shows of training runs as it stands, but for the size of the model and of the run."""

from __future__ import annotations

import ast

from tests.support.readme import snippet


def test_rewards_are_what_the_comment_says() -> None:
    code = snippet("Rewards")
    names: dict[str, object] = {}
    exec(code, names)
    call, _, said = code.strip().splitlines()[-1].partition("  # ")
    assert eval(call, names) == ast.literal_eval(said)
