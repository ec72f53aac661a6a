"""One reader of calls: lenient for what any policy may write, strict for what a server of one's own may."""

from __future__ import annotations

import pytest

from cof_agent.dialects.json_calls import UNREADABLE, read_calls
from cof_agent.dialects.turn import Call

WHOLE = '{"name": "look", "arguments": {"view": 1}}'


@pytest.mark.parametrize("strict", [False, True])
def test_one_object_is_read_the_same_either_way(strict: bool) -> None:
    assert list(read_calls(WHOLE, strict=strict)) == [Call("look", {"view": 1}, WHOLE)]
    nameless = '{"arguments": {}}'
    assert list(read_calls(nameless, strict=strict)) == [Call("", {}, nameless, UNREADABLE)]
    half = '{"name": "look", "arguments": 7}'
    assert list(read_calls(half, strict=strict)) == [Call("look", {}, half, UNREADABLE)]


@pytest.mark.parametrize(
    "inside",
    [
        "{'name': 'look', 'arguments': {'view': 1}}",
        '{"name": "look", "arguments": {"view": 1,},}',
        '{"name": "look", "arguments": "{\\"view\\": 1}"}',
        f"```json\n{WHOLE}\n```",
        f"[{WHOLE}]",
        f"First {WHOLE}",
    ],
)
def test_only_the_lenient_reader_mends(inside: str) -> None:
    assert list(read_calls(inside)) == [Call("look", {"view": 1}, inside)]
    (call,) = read_calls(inside, strict=True)
    assert call.error
    assert (call.args, call.text) == ({}, inside)


def test_the_lenient_reader_reads_several() -> None:
    assert [call.name for call in read_calls(WHOLE + WHOLE.replace("look", "crop"))] == ["look", "crop"]
    (call,) = read_calls(WHOLE + WHOLE, strict=True)
    assert call.error is not None
    assert call.error.startswith("the call is not JSON: ")
    (call,) = read_calls("[" * 100_000, strict=True)
    assert call.error is not None
