"""Replies recorded from real engines (`tests.support.record_engines`), as they came and damaged by seed.

Whatever is damaged, a run holds no answer that its reply did not hold, and fails with the library's own errors alone.
"""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from cof_agent.dialects import get_dialect
from cof_agent.dialects.finish import Finish, finish_of
from cof_agent.dialects.reading import read_turn
from cof_agent.errors import PolicyError
from cof_agent.policies.calling import acall
from cof_agent.policies.endpoint import load_endpoint
from cof_agent.policies.retry import Retry
from tests.support.misbehaving_server import playing, sends
from tests.support.patience import PATIENCE

RECORDED = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[2] / "data" / "engine_replies").glob("*.json"))
}
REPLIES = [(engine, reply) for engine, replies in RECORDED.items() for reply in replies if reply["status"] == 200]
"""All that is no error."""

DAMAGED = 1_000
ODD = (None, "", 0, -1, 7.5, True, [], {}, [None], {"x": 1}, "417", "stop", "length", "error", ["a", 1], "\ud800")
"""What takes the place of a value."""


def events(body: str) -> list[Any]:
    """The JSON values of a stream."""
    lines = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def whole(reply: dict[str, Any]) -> Any:
    """A reply's JSON, of a stream its events. Of ten pieces of text in a row one is made, which changes no form."""
    if not reply["streamed"]:
        return json.loads(reply["body"])
    merged: list[Any] = []
    for event in events(reply["body"]):
        name, text = _piece(event)
        if merged and name and _piece(merged[-1])[0] == name and len(_piece(merged[-1])[1]) < 40:
            merged[-1]["choices"][0]["delta"][name] += text
        else:
            merged.append(event)
    return merged


def _piece(event: Any) -> tuple[str, str]:
    """Where a piece of a stream has text and nothing else, and the text."""
    delta = event["choices"][0]["delta"] if event["choices"] else {}
    ((name, text),) = delta.items() if len(delta) == 1 else (("", ""),)
    return (name, text) if isinstance(text, str) and name != "role" else ("", "")


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every field and item in a JSON value: what holds it, and its key."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inside for place in ((value, key), *places(item))]


def damaged(value: Any, chance: Random) -> Any:
    """The value with one to three fields missing, replaced by something else, or cut."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        found = places(value)
        if not found:
            break
        holder, key = chance.choice(found)
        kind = chance.random()
        if kind < 0.3:
            del holder[key]
        elif kind < 0.8 or not isinstance(holder[key], str):
            holder[key] = copy.deepcopy(chance.choice(ODD))
        else:
            holder[key] = holder[key][: chance.randint(0, len(holder[key]))]
    return value


def sent(value: Any, streamed: bool, chance: Random) -> bytes:
    """A value as a server sends it; now and then the bytes are cut, or a stream is not done."""
    if not streamed:
        data = json.dumps(value).encode()
    else:
        done = b"" if chance.random() < 0.3 else b"data: [DONE]\n\n"
        data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in value) + done
    return data[: chance.randint(0, len(data))] if chance.random() < 0.1 else data


def words_in(value: Any) -> str:
    """All texts of a JSON value, one after the other, as the pieces of a stream are read."""
    if isinstance(value, str):
        return value
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return "".join(words_in(item) for item in inside)


def client(url: str, streaming: bool) -> BaseChatModel:
    return load_endpoint("openai:tiny", base_url=url, streaming=streaming, timeout=PATIENCE)


async def said(model: BaseChatModel) -> Any:
    """The reply to one call, as the loop asks for it, or the library's error."""
    try:
        return await acall(model, [HumanMessage("?")], {}, PATIENCE, Retry(0))
    except PolicyError as error:
        return error


@pytest.mark.parametrize(("engine", "reply"), REPLIES, ids=[f"{e}-{r['name']}-{r['streamed']}" for e, r in REPLIES])
def test_replies_are_read_as_they_came(engine: str, reply: dict[str, Any]) -> None:
    kind = "text/event-stream" if reply["streamed"] else "application/json"
    with playing(sends(reply["body"].encode(), kind)) as server:
        message = asyncio.run(said(client(server.url, reply["streamed"])))
    cut = '"finish_reason":"length"' in reply["body"].replace(" ", "")
    assert finish_of(message) is (Finish.CUT if cut else Finish.WHOLE)
    turn = read_turn(get_dialect("native"), message)
    assert bool(turn.calls or turn.answer) is not bool(turn.fault)
    if turn.fault:
        assert cut


def test_damaged_replies_give_no_answer_that_they_did_not_hold() -> None:
    bodies, streams = [], []
    for seed in range(DAMAGED):
        chance = Random(seed)
        _, reply = chance.choice(REPLIES)
        value = damaged(whole(reply), chance)
        (streams if reply["streamed"] else bodies).append((value, sent(value, reply["streamed"], chance)))

    async def every(streaming: bool, given: list[tuple[Any, bytes]]) -> list[Any]:
        kind = "text/event-stream" if streaming else "application/json"
        with playing(*[sends(data, kind) for _, data in given]) as server:
            model = client(server.url, streaming)
            return [await said(model) for _ in given]

    outcomes = dict.fromkeys(("answer", "call", "neither", "error"), 0)
    for streaming, given in ((False, bodies), (True, streams)):
        for (value, data), got in zip(given, asyncio.run(every(streaming, given)), strict=True):
            if isinstance(got, PolicyError):
                outcomes["error"] += 1
                continue
            turn = read_turn(get_dialect("native"), got)
            outcomes["call" if turn.calls else "answer" if turn.answer else "neither"] += 1
            if turn.calls or not turn.answer:
                continue
            held = [event.get("choices") for event in value if isinstance(event, dict)] if streaming else value
            assert _plain(turn.answer) in _plain(words_in(held)), data
            assert finish_of(got) is not Finish.FILTERED
            assert finish_of(got) is not Finish.CUT or turn.closed, data
    assert all(outcomes.values()), outcomes


def _plain(text: str) -> str:
    return "".join(text.encode(errors="replace").decode().split())
