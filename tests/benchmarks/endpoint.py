"""How near many questions at once come to the time that the endpoint alone would need.

`python -m tests.benchmarks.endpoint`: 64 questions of 2 policy calls each, 16 at a time, against a server in another
process that takes 0.2 seconds a call; and LangChain's client alone with the same messages. Ends with 1 if a target is
missed: the time over what it must take, the ideal 64 x 2 x 0.2 / 16 seconds and its own work on the processor; and the
processor time over that of the client alone. `--profile` adds where the client's time went.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import io
import json
import pstats
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from statistics import median
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage

from cof_agent import ChainOfFocus, Policy, Profile
from cof_agent.agent import FocusResult
from cof_agent.policies.endpoint import load_endpoint
from tests.benchmarks.machine import machine, must_take, report
from tests.support.conversations import answer, photo, zoom

SECONDS = 0.2
QUESTIONS = 64
CONCURRENCY = 16
CALLS = 2

WAITED, WORK = 1.5, 6.0
"""At most so many times: the time over what it must take, and the processor time over the client's alone."""


async def _serve() -> None:
    turns = [zoom(10, 20, 110, 120), answer("42")]

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                await asyncio.sleep(SECONDS)
                message = {"role": "assistant", "content": turns[body.count(b'"role":"assistant"')]}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                reply = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
                data = json.dumps(reply | {"choices": [choice]}).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
                    + data
                )
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(visit, "127.0.0.1", 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The server in a process of its own; its base URL."""
    command = [sys.executable, "-m", "tests.benchmarks.endpoint", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def _picture(number: int, side: int) -> bytes:
    buffer = io.BytesIO()
    photo(side + number, side * 3 // 4).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


async def _run(url: str, side: int) -> float:
    pictures = [_picture(number, side) for number in range(QUESTIONS)]
    policy = Policy(load_endpoint("openai:m", base_url=url), Profile(), "openai:m")
    agent = ChainOfFocus(policy)
    await agent.abatch([(pictures[0], "What?")])  # imports, first connection
    began = time.perf_counter()
    results = await agent.abatch([(picture, "What?") for picture in pictures], concurrency=CONCURRENCY)
    seconds = time.perf_counter() - began
    wrong = [
        result for result in results
        if not (isinstance(result, FocusResult) and result.answer == "42" and result.usage.zooms == CALLS - 1)
    ]  # fmt: skip
    assert not wrong, wrong[0]
    return seconds


class _Kept(BaseCallbackHandler):
    """Keeps the messages of every call."""

    def __init__(self) -> None:
        self.prompts: list[list[BaseMessage]] = []

    def on_chat_model_start(self, _: Any, messages: list[list[BaseMessage]], **__: Any) -> None:
        self.prompts += messages


async def _alone(url: str, side: int) -> float:
    """The client without the loop: as many calls, with the messages that the loop sends."""
    kept = _Kept()
    client = load_endpoint("openai:m", base_url=url)
    client.callbacks = [kept]
    await ChainOfFocus(Policy(client, Profile(), "m")).aask(_picture(0, side), "What?")
    assert len(kept.prompts) == CALLS
    waiting = iter(range(QUESTIONS))
    client.callbacks = None

    async def work() -> None:
        for _ in waiting:
            for prompt in kept.prompts:
                await client.ainvoke(prompt)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--side", type=int, default=224, help="width of the pictures in pixels")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve())
        return 0
    print(machine())
    ideal = QUESTIONS * CALLS * SECONDS / CONCURRENCY
    with serving() as url:
        waited, work = [], []
        for _ in range(given.runs):
            (ours, busy), (bare, its) = (_timed(run, url, given.side) for run in (_run, _alone))
            waited.append(ours / must_take(ideal, busy, bare, its))
            work.append(busy / its)
            print(
                f"{ours:.2f} s, {busy:.1f} s of CPU; the client alone {bare:.2f} s, {its:.1f} s of CPU; "
                f"the ideal {ideal:.2f} s: {ours / ideal:.2f} and {bare / ideal:.2f} times"
            )
        time_ratio, work_ratio = median(waited), median(work)
        kept = [
            report("time over what it must take", time_ratio, "times", time_ratio <= WAITED, f"at most {WAITED:g}"),
            report("CPU over the client's alone", work_ratio, "times", work_ratio <= WORK, f"at most {WORK:g}"),
        ]
        if given.profile:
            profile = cProfile.Profile()
            profile.runcall(lambda: asyncio.run(_run(url, given.side)))
            pstats.Stats(profile).sort_stats("cumulative").print_stats(60)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    return 0 if all(kept) else 1


def _timed(run: Callable[[str, int], Coroutine[Any, Any, float]], url: str, side: int) -> tuple[float, float]:
    """Seconds of a run as it tells them, and of the processor, all of the run counted."""
    busy = time.process_time()
    seconds = asyncio.run(run(url, side))
    return seconds, time.process_time() - busy


if __name__ == "__main__":
    sys.exit(main())
