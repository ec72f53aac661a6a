"""Two hundred questions at once: what the process holds is counted, and bounded whatever their number."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from operator import add
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langgraph.graph import START, StateGraph

from cof_agent import ChainOfFocus, DirectoryStore, ImageError, MemoryStore, Policy, Profile, perception_node
from cof_agent.images import opening as images_module
from cof_agent.images.codecs.decoding import Decoded, Encoded
from cof_agent.images.receiving.source_bytes import Received, receive
from cof_agent.images.reference import ImageRef
from cof_agent.images.rendering import decode_queue as turns_module
from cof_agent.images.rendering.decode_queue import IN_HAND, TURNS, DecodeQueue, Rank
from cof_agent.integrations.langgraph import ask_each
from cof_agent.loop import nodes
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, photo, scripted, zoom
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

QUESTIONS = 200
SIZE = (160, 120)
PIXELS = 4 * SIZE[0] * SIZE[1]


class Count:
    def __init__(self) -> None:
        self._lock, self.now, self.most, self.total = threading.RLock(), 0, 0, 0

    def up(self) -> None:
        with self._lock:
            self.now, self.total = self.now + 1, self.total + 1
            self.most = max(self.most, self.now)

    def down(self) -> None:
        with self._lock:
            self.now -= 1


class Held(bytes):
    """The bytes of an original, counted while anything holds them."""

    count: Count

    @classmethod
    def of(cls, data: bytes) -> Held:
        cls.count.up()
        return cls(data)

    def __del__(self) -> None:
        self.count.down()


class CountingStore(DirectoryStore):
    def get(self, ref: ImageRef) -> bytes:
        data = super().get(ref)
        return Held.of(data) if ref.size == SIZE else data


class TogetherModel(ScriptedModel):
    """Replies to the first turn of all questions only when each has been asked, so that all zoom together."""

    gate: threading.Barrier

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        if not any(message.type == "ai" for message in messages):
            self.gate.wait(PATIENCE)
        return super()._generate(messages, *args, **kwargs)


class Album(TypedDict, total=False):
    questions: list[dict[str, Any]]
    findings: Annotated[list[dict[str, Any]], add]


@pytest.mark.parametrize("way", ["asyncio", "threads"])
def test_two_hundred_questions_hold_few_sources(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding, decoded, Held.count = Count(), Count(), Count()
    decode = Encoded.decode

    def counted(self: Encoded, scale: int) -> Decoded:
        decoding.up()
        decoded.up()
        made = decode(self, scale)
        weakref.finalize(made.image, decoded.down)
        decoding.down()
        return made

    def received(*given: Any) -> Received:
        got = receive(*given)
        return Received(Held.of(got.data), got.name)

    turns = DecodeQueue(TURNS, cached_bytes=PIXELS, pixel_bytes=PIXELS)
    monkeypatch.setitem(turns_module._OF_PROCESS, os.getpid(), turns)
    monkeypatch.setattr(Encoded, "decode", counted)
    monkeypatch.setattr(images_module, "receive", received)
    files = []
    for number in range(20):
        files.append(str(tmp_path / f"{number}.jpg"))
        photo(*SIZE).save(files[-1], comment=b"%d" % number)
    model = TogetherModel(turns=[zoom(20, 20, 100, 90), answer("42")], gate=threading.Barrier(QUESTIONS))
    builder = StateGraph(Album)
    store = CountingStore(tmp_path / "images")
    builder.add_node(
        "look", perception_node(Policy(model, Profile(), "together"), findings_key="findings", store=store)
    )
    builder.add_conditional_edges(START, ask_each("look"), ["look", "__end__"])
    graph = builder.compile()
    asked = [{"image": files[number % len(files)], "question": f"number {number}?"} for number in range(QUESTIONS)]
    if way == "asyncio":
        findings = asyncio.run(graph.ainvoke({"questions": asked}))["findings"]
    else:
        with ThreadPoolExecutor(QUESTIONS) as threads:
            ends = list(threads.map(lambda question: graph.invoke({"questions": [question]}), asked))
        findings = [finding for end in ends for finding in end["findings"]]
    assert [(item["question"], item["answer"]) for item in findings] == [(each["question"], "42") for each in asked]
    assert decoding.total > 2 * len(files), "the cache cannot have held them"
    assert decoding.most == 1, "the memory for one"
    assert decoded.most <= 1 + TURNS, "each turn may be letting go of one more"
    assert Held.count.total == 2 * QUESTIONS
    assert Held.count.most <= IN_HAND
    assert turns._in_use == turns._running == Held.count.now == 0
    assert turns._held <= PIXELS


def test_no_machine_decodes_more_at_once_than_its_memory_is_meant_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "_processors", lambda: 64)
    monkeypatch.setattr(turns_module, "_OF_PROCESS", {})
    running, begin = Count(), threading.Event()

    def work() -> None:
        running.up()
        if running.now == TURNS:
            begin.set()
        begin.wait(PATIENCE)
        running.down()

    threads = [threading.Thread(target=turns_module.decode_queue().run, args=(Rank.SHOW, 0, work)) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert (running.total, running.most) == (32, TURNS)


def test_a_place_within_a_place_is_free() -> None:
    turns, inside = DecodeQueue(1), []
    for _ in range(IN_HAND + 1):
        with turns.in_hand():
            for _ in range(2 * IN_HAND):
                place = turns.in_hand()
                place.__enter__()
                inside.append(place)
            while inside:
                inside.pop().__exit__(None, None, None)


def test_what_was_freed_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = threading.Semaphore(0)
    monkeypatch.setattr(turns_module, "trim_heap", given_back.release)
    turns = DecodeQueue(1)
    turns.run(Rank.SHOW, turns_module.FREED_BYTES - 1, lambda: None)
    assert not given_back.acquire(blocking=False)
    for _ in range(2):
        turns.run(Rank.SHOW, 1, lambda: None)
    assert given_back.acquire(timeout=PATIENCE)
    assert not given_back.acquire(blocking=False)


class ForgetfulStore(MemoryStore):
    """Loses all but originals."""

    def put(self, ref: ImageRef, data: bytes) -> None:
        if ref.size == (640, 480):
            super().put(ref, data)


@pytest.mark.parametrize("way", ["ask", "aask"])
def test_a_view_that_is_gone_is_no_failure_of_the_policy(way: str) -> None:
    agent = ChainOfFocus(Policy(ScriptedModel(turns=[answer("42")]), Profile(), "script"), store=ForgetfulStore())
    with pytest.raises(ImageError, match="is not in MemoryStore"):
        agent.ask(photo(), "What?") if way == "ask" else asyncio.run(agent.aask(photo(), "What?"))


@pytest.mark.parametrize("store", [MemoryStore, DirectoryStore])
def test_prompts_are_made_where_the_model_runs(
    store: type[MemoryStore | DirectoryStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images are inlined when the model is about to read them: conversations that wait for the loop hold none."""
    makers: list[str] = []
    resolve = nodes.resolve_images

    def resolved(*given: Any) -> list[BaseMessage]:
        makers.append(threading.current_thread().name)
        return resolve(*given)

    monkeypatch.setattr(nodes, "resolve_images", resolved)
    kept = DirectoryStore(tmp_path) if store is DirectoryStore else MemoryStore()
    agent = ChainOfFocus(scripted(zoom(20, 20, 200, 150), answer("42")), store=kept)
    assert agent.ask(photo(), "What?").answer == asyncio.run(agent.aask(photo(), "What?")).answer == "42"
    assert makers == ["cof-policy-call"] * 4
