"""What prefix reuse and batches are worth on this machine: `python -m tests.benchmarks.local`.

Prints, for medians of several runs in one process:

- one conversation of four turns with an image of 1,024 visual tokens each, with and without what was run before;
- eight conversations one at a time and as one batch.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from cof_agent.policies.qwen.checkpoint import Checkpoint, open_checkpoint
from cof_agent.policies.qwen.engine import Engine
from cof_agent.policies.qwen.prefix import PrefixPool
from cof_agent.policies.qwen.reply import Reply
from cof_agent.policies.qwen.seed import SeedSizes, write_seed
from tests.benchmarks.machine import machine
from tests.support.qwen_models import block, make_checkpoint, picture, run, text

TURNS, REPLY, CONVERSATIONS, REPEATS = 4, 32, 8, 3
SIZES = SeedSizes(
    text_width=256, text_depth=3, text_heads=4, text_kv_heads=2, text_mlp=6144, vision_width=192, vision_depth=3,
    vision_heads=4, vision_mlp=1536,
)  # fmt: skip
"""For a visual token the vision tower, run on its four patches, has about as much to do as the language model has. In
Qwen2.5-VL-3B it is 0.8 times as much; in the 7B checkpoint 0.4 times."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        large = _opened(Path(folder, "large"), SIZES)
        tiny = _opened(Path(folder, "tiny"), SeedSizes())
        print(machine())
        print(f"{torch.get_num_threads()} threads, {torch.__version__}, float32 on the CPU, medians of {REPEATS}")
        print(f"\nPrefix reuse: {TURNS} turns with 1,024 visual tokens each, {REPLY} new tokens a turn, {_size(large)}")
        reuse(large)
        print(f"\nBatches: {CONVERSATIONS} conversations of 16 visual tokens, 64 new tokens each, {_size(tiny)}")
        batches(tiny)
    return 0


def reuse(checkpoint: Checkpoint) -> None:
    endless = _endless(checkpoint)
    seconds: dict[bool, list[list[float]]] = {False: [], True: []}
    apart = largest = 0.0
    for _ in range(REPEATS):
        replies = {}
        for kept in (False, True):
            replies[kept], times = conversation(Engine(endless, PrefixPool(4 if kept else 0, 10**9)))
            seconds[kept].append(times)
        for one, other in zip(replies[True], replies[False], strict=True):
            assert one.ids == other.ids
            assert one.logits is not None
            assert other.logits is not None
            largest = max(largest, float(torch.stack(one.logits).abs().max()))
            apart = max(apart, float((torch.stack(one.logits) - torch.stack(other.logits)).abs().max()))
    without, with_ = ([statistics.median(times) for times in zip(*seconds[kept], strict=True)] for kept in seconds)
    print("  turn     without   with      ratio")
    for turn, (slow, fast) in enumerate(zip(without, with_, strict=True), 1):
        print(f"  {turn}        {slow:6.2f} s  {fast:6.2f} s  {slow / fast:5.2f}")
    whole = [statistics.median(map(sum, seconds[kept])) for kept in (False, True)]
    print(f"  whole    {whole[0]:6.2f} s  {whole[1]:6.2f} s  {whole[0] / whole[1]:5.2f}")
    print(f"  largest difference of a logit: {apart:.1e} (they reach {largest:.0f})")


def conversation(engine: Engine) -> tuple[list[Reply], list[float]]:
    """One conversation, and the seconds of each turn."""
    messages: list[BaseMessage] = []
    replies, seconds = [], []
    for turn in range(TURNS):
        messages.append(HumanMessage([block(picture(896, 896, turn)), text("Where is it? Look closer.")]))
        began = time.perf_counter()
        [reply] = run(engine, messages, longest=REPLY)
        seconds.append(time.perf_counter() - began)
        replies.append(reply)
        messages.append(AIMessage("<think>Not there.</think>" + "word " * 8))
    return replies, seconds


def batches(checkpoint: Checkpoint) -> None:
    engine = Engine(_endless(checkpoint), PrefixPool(0, 0))
    conversations: Sequence[list[BaseMessage]] = [
        [HumanMessage([block(picture(112, 112, number)), text(f"What is in number {number}?")])]
        for number in range(CONVERSATIONS)
    ]
    alone, together = [], []
    for _ in range(REPEATS):
        began = time.perf_counter()
        single = [run(engine, messages, longest=64)[0].ids for messages in conversations]
        alone.append(time.perf_counter() - began)
        began = time.perf_counter()
        batch = [reply.ids for reply in run(engine, *conversations, longest=64)]
        together.append(time.perf_counter() - began)
        assert batch == single
    slow, fast = statistics.median(alone), statistics.median(together)
    print(f"  one at a time {slow:.2f} s, together {fast:.2f} s: {slow / fast:.2f} times the throughput")


def _opened(folder: Path, sizes: SeedSizes) -> Checkpoint:
    seed = write_seed(folder.with_suffix(".seed"), sizes=sizes)
    return open_checkpoint(make_checkpoint("qwen2_5_vl", seed, folder), device="cpu")


def _endless(checkpoint: Checkpoint) -> Checkpoint:
    """Replies of both runs are as long as they may be."""
    return replace(checkpoint, ends=())


def _size(checkpoint: Checkpoint) -> str:
    return f"{sum(weight.numel() for weight in checkpoint.model.parameters()) / 1e6:.1f} M parameters"


if __name__ == "__main__":
    raise SystemExit(main())
