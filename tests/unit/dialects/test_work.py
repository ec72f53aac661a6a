"""The work of reading a turn: linear in its length, once a turn, and bounded. Counted, not timed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from cof_agent.dialects import DIALECTS, get_dialect
from cof_agent.dialects.lenient_json import json_values
from cof_agent.dialects.markup import MAX_CALLS, TOO_MANY
from cof_agent.dialects.reading import MAX_TURN_CHARACTERS, TOO_LONG, ReadingDialect
from cof_agent.loop.state import Status
from tests.support.conversations import answer, zoom
from tests.support.dialogue import converse


def lines_run(work: Callable[[], Any]) -> int:
    """How many lines of Python `work` runs."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


PIECES = [
    "\"'", "'\\", "{'", '"\\"', ", ", "[", "{", "<answer>", "<answer></answer>", "<think>", "<tool_call>",
    "<grounding>", "\\boxed{", "zoom(", "<function=zoom>", '{"name": "zoom", ', "<|box_start|>[1,", "<|image_zoomin|>",
]  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("piece", PIECES)
def test_twice_the_text_is_at_most_twice_the_work(name: str, piece: str) -> None:
    dialect = get_dialect(name)
    assert isinstance(dialect, ReadingDialect)
    small, large = (lines_run(lambda size=size: dialect.read(piece * size)) for size in (400, 800))
    assert large <= 2 * small + 200


def test_unclosed_quotes_are_looked_at_once() -> None:
    """Each is a token of its own: a reader that goes on to the end from each would run as many lines, in more time."""
    text = "[" + "'\\" * 4_900
    assert json_values(text, lambda value: True) == []
    assert json_values("it's \"so\": {'name': 'z'}", lambda value: True) == []
    assert json_values("say \\\" and \\\" {'name': 'z'}", lambda value: True) == [{"name": "z"}]


def test_a_turn_of_too_many_characters_or_calls_is_unreadable() -> None:
    cof = get_dialect("cof")
    assert cof.parse(AIMessage("x" * (MAX_TURN_CHARACTERS + 1))).fault == TOO_LONG
    assert len(cof.parse(AIMessage(zoom(1, 2, 3, 4) * MAX_CALLS)).calls) == MAX_CALLS
    assert cof.parse(AIMessage(zoom(1, 2, 3, 4) * (MAX_CALLS + 1))).fault == TOO_MANY
    run = converse("cof", zoom(1, 2, 30, 40) * 5_000, answer("42"))
    assert (run.result.status, run.result.answer) == (Status.ANSWERED, "42")
    assert (run.result.usage.zooms, run.result.usage.refused) == (0, 1)


def test_values_nested_too_deeply_are_a_refused_call() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    call = json.dumps({"name": "image_zoom_in_tool", "arguments": {"bbox_2d": deep}})
    run = converse("cof", f"<tool_call>{call}</tool_call>", answer("42"))
    assert (run.result.answer, run.result.usage.refused) == ("42", 1)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_text_is_read_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dialect = get_dialect(name)
    read: list[str] = []
    own = type(dialect).read  # type: ignore[attr-defined]
    monkeypatch.setattr(type(dialect), "read", lambda self, text: read.append(text) or own(self, text))
    text = f"{name} asks twice"
    first, second = (dialect.parse(AIMessage(text)) for _ in range(2))
    assert first == second
    assert read == [text]
