"""Conversations that are run together reply as they would alone, and none harms another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from cof_agent.errors import ConfigError, ImageError, PolicyError
from cof_agent.policies.deadline import OutOfTimeError, deadline
from cof_agent.policies.qwen.chat import ChatQwenVL
from cof_agent.policies.qwen.checkpoint import Checkpoint, open_checkpoint
from cof_agent.policies.qwen.engine import Engine, Generation
from cof_agent.policies.qwen.prefix import PrefixPool
from cof_agent.policies.qwen.sampling import Sampling
from tests.support.patience import PATIENCE
from tests.support.qwen_models import WatchedBatches, block, difference, make_checkpoint, picture, run, text

KINDS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5")
WARM = Sampling(1.0, 0.95, 50, 1.1, 7)


@pytest.fixture(scope="module")
def checkpoints(seed_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    root = tmp_path_factory.mktemp("kinds")
    return {kind: open_checkpoint(make_checkpoint(kind, seed_checkpoint, root / kind)) for kind in KINDS}


@pytest.fixture
def checkpoint(checkpoints: dict[str, Checkpoint]) -> Checkpoint:
    return checkpoints["qwen2_5_vl"]


@pytest.fixture
def endless(checkpoint: Checkpoint) -> Checkpoint:
    """Never ends a turn: 30,000 tokens take it minutes."""
    return replace(checkpoint, ends=())


def mixed(side: int) -> list[list[BaseMessage]]:
    """Conversations with three images, none, one, and two; short and long."""
    images = [block(picture(wide * side, high * side, wide)) for wide, high in ((2, 5), (6, 1), (4, 4))]
    return [
        [SystemMessage("Look."), HumanMessage([*images, text("Which one?")])],
        [HumanMessage("No image.")],
        [HumanMessage([text("One of them: " + "long " * 30), images[1]])],
        [HumanMessage([images[2], text("and"), images[0]])],
    ]


def without_images(number: int) -> list[BaseMessage]:
    return [HumanMessage(f"Question number {number}?")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_computes_what_each_of_its_conversations_does_alone(
    checkpoints: dict[str, Checkpoint], kind: str
) -> None:
    checkpoint = checkpoints[kind]
    engine = Engine(checkpoint, PrefixPool(0, 0))
    conversations = mixed(checkpoint.factor)
    for messages, reply in zip(conversations, run(engine, *conversations), strict=True):
        assert difference(checkpoint, messages, reply) < 1e-4
        [alone] = run(engine, messages)
        assert (alone.ids, alone.text, alone.visual_tokens) == (reply.ids, reply.text, reply.visual_tokens)
        assert alone.logprobs == pytest.approx(reply.logprobs, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sampled_conversation_is_the_same_alone_and_in_a_batch(checkpoints: dict[str, Checkpoint], kind: str) -> None:
    checkpoint = checkpoints[kind]
    engine = Engine(checkpoint, PrefixPool(0, 0))
    conversations = mixed(checkpoint.factor)
    together = run(engine, *conversations, sampling=WARM, longest=12)
    alone = [run(engine, messages, sampling=WARM, longest=12)[0] for messages in conversations]
    assert [reply.ids for reply in alone] == [reply.ids for reply in together]
    greedy = run(engine, *conversations, longest=12)
    assert all(reply.ids != other.ids for reply, other in zip(greedy, together, strict=True))


def test_each_try_at_one_prompt_has_the_seed_it_was_given(checkpoint: Checkpoint) -> None:
    chat = ChatQwenVL(checkpoint=checkpoint, temperature=1.0, max_new_tokens=8, record_tokens=True)
    prompts, seeds = [without_images(1)] * 4, [1, 2, 1, 3]
    first, second, third, fourth = (
        result.generations[0].message.response_metadata for result in chat.generate_batch(prompts, seeds=seeds)
    )
    assert first["token_ids"] == third["token_ids"]
    assert len({tuple(known["token_ids"]) for known in (first, second, fourth)}) == 3
    assert [known["seed"] for known in (first, second, third, fourth)] == seeds
    alone = chat.invoke(without_images(1), seed=3).response_metadata
    assert alone["token_ids"] == fourth["token_ids"]
    with pytest.raises(ConfigError, match="2 seeds for 4 prompts"):
        chat.generate_batch(prompts, seeds=[1, 2])


def test_calls_from_many_threads_are_run_together_and_each_gets_its_own_reply(checkpoint: Checkpoint) -> None:
    alone = ChatQwenVL(checkpoint=checkpoint, max_new_tokens=8, prefix_conversations=0)
    chat = ChatQwenVL(checkpoint=checkpoint, max_new_tokens=8, max_batch=8)
    batches = WatchedBatches(chat, lambda tasks, waiting: len(batches.sizes) > 1 or len(tasks) + waiting == 12)
    with ThreadPoolExecutor(12) as threads:
        replies = list(threads.map(lambda number: chat.invoke(without_images(number)).text, range(24)))
    assert replies == [alone.invoke(without_images(number)).text for number in range(24)]
    assert sum(batches.sizes) == 24
    assert 1 < max(batches.sizes) <= 8


async def test_calls_from_many_tasks_are_run_together_and_leave_the_loop_free(checkpoint: Checkpoint) -> None:
    """The model does not go on before all others were asked for, and the loop came round many times."""
    chat = ChatQwenVL(checkpoint=checkpoint, max_new_tokens=60, max_batch=4)
    ticks, ended = 0, asyncio.Event()
    begun: dict[int, int] = {}

    def goes_on(tasks: list[Generation], waiting: int) -> bool:
        came_round = ticks - begun.setdefault(id(tasks[0]), ticks)
        return came_round > 200 and (len(begun) > 1 or len(tasks) + waiting == 8)

    batches = WatchedBatches(chat, goes_on)

    async def tick() -> None:
        nonlocal ticks
        while not ended.is_set():
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    replies = await asyncio.gather(*(chat.ainvoke(without_images(number)) for number in range(8)))
    ended.set()
    await ticking
    assert max(batches.sizes) == 4
    alone = ChatQwenVL(checkpoint=checkpoint, max_new_tokens=60)
    assert [reply.text for reply in replies] == [alone.invoke(without_images(number)).text for number in range(8)]


def test_what_waits_when_the_model_becomes_free_is_one_batch_and_a_lone_call_waits_for_no_other(
    endless: Checkpoint,
) -> None:
    chat = ChatQwenVL(checkpoint=endless, max_new_tokens=30_000)
    batches = WatchedBatches(chat)
    stream = chat.stream(without_images(0))
    next(stream)
    with ThreadPoolExecutor(11) as threads:
        waiting = [threads.submit(chat.invoke, without_images(n), max_new_tokens=4) for n in range(11)]
        while batches.waiting < 11:
            next(stream)
        stream.close()
        replies = [future.result(PATIENCE) for future in waiting]
    assert batches.sizes == [1, 8, 3]
    longer = [*without_images(3), replies[3], HumanMessage("Sure?")]
    for reused in (False, True):  # what was run in a batch left no state behind
        reply = chat.invoke(longer, max_new_tokens=4)
        assert reply.usage_metadata is not None
        assert (reply.usage_metadata["input_token_details"]["cache_read"] > 20) == reused
    assert batches.sizes == [1, 8, 3, 1, 1]


def test_one_that_fails_does_not_take_the_others_with_it(checkpoint: Checkpoint) -> None:
    chat = ChatQwenVL(checkpoint=checkpoint, max_new_tokens=4, max_batch=8)
    side = checkpoint.factor
    wrong = [
        ([HumanMessage([block(picture(side, side + 1)), text("?")])], ConfigError),
        ([HumanMessage("word " * checkpoint.positions)], PolicyError),
        ([HumanMessage([{"type": "image", "base64": "AAAA", "mime_type": "image/png"}])], ImageError),
    ]
    broken = block(picture(9 * side, 9 * side), "JPEG")
    broken["base64"] = broken["base64"][: 4 * (len(broken["base64"]) // 6)]  # its header is whole, its pixels are not
    wrong.append(([HumanMessage([broken, text("?")])], ImageError))
    good = [without_images(number) for number in range(4)]
    with ThreadPoolExecutor(8) as threads:
        failing = [threads.submit(chat.invoke, messages) for messages, _ in wrong]
        working = [threads.submit(chat.invoke, messages) for messages in good]
        for future, (_, kind) in zip(failing, wrong, strict=True):
            with pytest.raises(kind):
                future.result(PATIENCE)
        assert all(future.result(PATIENCE).text for future in working)
    with pytest.raises(ImageError, match="decoded"):
        chat.generate_batch([*good, wrong[-1][0]])
    assert chat.invoke(good[0]).text


def test_each_caller_has_its_own_deadline(endless: Checkpoint) -> None:
    chat = ChatQwenVL(checkpoint=endless, max_new_tokens=30_000, max_batch=4)
    began = threading.Barrier(3)

    def hurried(seconds: float) -> None:
        began.wait(PATIENCE)
        with deadline(seconds), pytest.raises(OutOfTimeError):
            chat.invoke(without_images(0))

    def short() -> str:
        began.wait(PATIENCE)
        return chat.invoke(without_images(1), max_new_tokens=5).text

    with ThreadPoolExecutor(3) as threads:
        late, later, quick = threads.submit(hurried, 0.3), threads.submit(hurried, 0.9), threads.submit(short)
        assert quick.result(PATIENCE) == chat.invoke(without_images(1), max_new_tokens=5).text
        late.result(PATIENCE)
        later.result(PATIENCE)
    with deadline(0), pytest.raises(OutOfTimeError):
        chat.invoke(without_images(1))
    assert chat.invoke(without_images(1), max_new_tokens=5).text


def test_a_call_does_not_wait_for_its_turn_longer_than_it_may(endless: Checkpoint) -> None:
    chat = ChatQwenVL(checkpoint=endless, max_new_tokens=30_000)
    stream = chat.stream(without_images(0))
    next(stream)
    for _ in range(2):
        with deadline(0.1), pytest.raises(OutOfTimeError):
            chat.invoke(without_images(1))
    assert next(stream) is not None  # it was running all the time
    stream.close()
    assert chat.invoke(without_images(1), max_new_tokens=2).usage_metadata  # and ends when nobody listens


async def test_tasks_have_deadlines_too(endless: Checkpoint) -> None:
    chat = ChatQwenVL(checkpoint=endless, max_new_tokens=30_000, max_batch=2)
    with deadline(0.2):
        with pytest.raises(OutOfTimeError):
            await chat.ainvoke(without_images(0))
        with pytest.raises(OutOfTimeError):
            await anext(aiter(chat.astream(without_images(0))))
    assert (await chat.ainvoke(without_images(1), max_new_tokens=4)).usage_metadata


async def test_a_cancelled_task_ends_its_conversation_and_no_other(endless: Checkpoint) -> None:
    chat = ChatQwenVL(checkpoint=endless, max_new_tokens=30_000, max_batch=4)
    batches = WatchedBatches(chat)
    stream = chat.astream(without_images(3))
    await anext(stream)
    unending = asyncio.create_task(chat.ainvoke(without_images(0)))
    short = asyncio.create_task(chat.ainvoke(without_images(1), max_new_tokens=4))
    while batches.waiting < 2:
        await anext(stream)
    await stream.aclose()
    assert (await short).usage_metadata
    assert batches.sizes == [1, 2]
    unending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unending
    assert (await chat.ainvoke(without_images(2), max_new_tokens=4)).usage_metadata
    ends = {(task.reply.finish_reason, task.reply.limits.max_new_tokens) for task in batches.tasks}
    assert ends == {("abandoned", 30_000), ("length", 4)}


def test_a_process_that_ends_while_the_model_runs_ends_well(seed_checkpoint: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _LEAVING, str(seed_checkpoint)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "leaving\n", "")


_LEAVING = """
import sys
from dataclasses import replace
from cof_agent.policies.qwen.chat import ChatQwenVL
from cof_agent.policies.qwen.checkpoint import open_checkpoint

chat = ChatQwenVL(checkpoint=replace(open_checkpoint(sys.argv[1]), ends=()), max_new_tokens=30_000)
stream = chat.stream("Hello")
next(stream)
print("leaving")
"""
