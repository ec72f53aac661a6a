"""A conversation's next turn runs only what is new, and computes the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from cof_agent.errors import PolicyError
from cof_agent.policies.qwen.checkpoint import Checkpoint, open_checkpoint
from cof_agent.policies.qwen.engine import Engine, Generation
from cof_agent.policies.qwen.prefix import PrefixPool
from cof_agent.policies.qwen.reply import Limits, Reply
from cof_agent.policies.qwen.sampling import Sampler
from tests.support.qwen_models import (
    GREEDY,
    block,
    difference,
    make_checkpoint,
    picture,
    plain_inputs,
    plain_logits,
    run,
    text,
)

KINDS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
CLOSE = 1e-4


@pytest.fixture(scope="module")
def checkpoints(seed_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    root = tmp_path_factory.mktemp("kinds")
    return {kind: open_checkpoint(make_checkpoint(kind, seed_checkpoint, root / kind)) for kind in KINDS}


@pytest.fixture
def checkpoint(checkpoints: dict[str, Checkpoint]) -> Checkpoint:
    return checkpoints["qwen2_5_vl"]


def engine_of(checkpoint: Checkpoint, conversations: int = 4, size: int = 10**9) -> Engine:
    return Engine(checkpoint, PrefixPool(conversations, size))


def opening(checkpoint: Checkpoint, shade: int = 0, question: str = "What is it?") -> list[BaseMessage]:
    side = checkpoint.factor
    return [
        SystemMessage("You look at images."),
        HumanMessage([block(picture(6 * side, 4 * side, shade)), text(question)]),
    ]


def turns(checkpoint: Checkpoint) -> list[HumanMessage]:
    """What the user says next, turn by turn: images of other sizes, words alone, two images."""
    side = checkpoint.factor
    return [
        HumanMessage([text("Closer:"), block(picture(3 * side, 7 * side, 1)), text("And now?")]),
        HumanMessage("No image this time. What was it?"),
        HumanMessage([block(picture(side, side, 2)), block(picture(9 * side, 2 * side, 3))]),
        HumanMessage([block(picture(5 * side, 5 * side, 4)), text("The last.")]),
    ]


def said(reply: Reply) -> AIMessage:
    return AIMessage(reply.text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_turn_computes_what_one_pass_over_everything_does(checkpoints: dict[str, Checkpoint], kind: str) -> None:
    checkpoint = checkpoints[kind]
    engine, messages, before = engine_of(checkpoint), opening(checkpoint), 0
    for turn in [*turns(checkpoint), None]:
        [reply] = run(engine, messages)
        assert difference(checkpoint, messages, reply) < CLOSE
        assert reply.prompt_tokens == plain_inputs(checkpoint, messages)["input_ids"].shape[1]
        assert reply.reused_tokens >= before
        assert (reply.reused_tokens > 0) == (before > 0)
        before = reply.prompt_tokens  # all of it is there for the next turn
        messages = [*messages, said(reply), *([turn] if turn else [])]


@pytest.mark.parametrize("kind", KINDS)
def test_the_models_are_loud_enough_to_show_a_wrong_position_or_image(
    checkpoints: dict[str, Checkpoint], kind: str
) -> None:
    checkpoint = checkpoints[kind]
    one, other = (plain_logits(checkpoint, opening(checkpoint, shade), [5, 5]) for shade in (0, 1))
    assert (one - other).abs().max() > 100 * CLOSE
    engine = engine_of(checkpoint)
    [reply] = run(engine, opening(checkpoint))
    messages = [*opening(checkpoint), said(reply), HumanMessage("And?")]
    task = Generation(
        engine.writer.write(messages), Reply(engine.writer.tokenizer, Limits(1), logits=[]), Sampler(GREEDY, ())
    )
    right, ids = engine.positions, torch.arange(len(task.prompt.ids)).expand(3, -1)
    engine.positions = lambda prompt: ids  # type: ignore[method-assign]
    engine.run([task])
    engine.positions = right  # type: ignore[method-assign]
    assert difference(checkpoint, messages, task.reply) > CLOSE


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_that_differs_in_the_middle_is_reused_up_to_there(
    checkpoints: dict[str, Checkpoint], kind: str
) -> None:
    checkpoint = checkpoints[kind]
    engine, messages = engine_of(checkpoint), opening(checkpoint)
    for turn in turns(checkpoint)[:2]:
        [reply] = run(engine, messages)
        messages = [*messages, said(reply), turn]
    run(engine, messages)
    changed = [*messages[:-1], HumanMessage("Something else entirely.")]
    [reply] = run(engine, changed)
    assert reply.reused_tokens > reply.prompt_tokens // 2
    assert difference(checkpoint, changed, reply) < CLOSE
    early = [*messages[:2], AIMessage("I said something else."), *messages[3:]]
    [reply] = run(engine, early)
    linear = kind.startswith("qwen3_5")  # its state goes back to the ends of the last two prompts, and no further
    assert 0 <= reply.reused_tokens < reply.prompt_tokens
    assert (reply.reused_tokens == 0) == linear
    assert difference(checkpoint, early, reply) < CLOSE


@pytest.mark.parametrize("kind", ["qwen3_5", "qwen3_5_moe"])
def test_linear_attention_goes_on_from_the_end_of_a_prompt_that_both_share(
    checkpoints: dict[str, Checkpoint], kind: str
) -> None:
    checkpoint = checkpoints[kind]
    engine, messages = engine_of(checkpoint), opening(checkpoint)
    [reply] = run(engine, messages)
    for words in ("I said something else.", "And now again something else."):
        other = [*messages, AIMessage(words), HumanMessage("Go on.")]
        [following] = run(engine, other)
        assert following.reused_tokens == reply.prompt_tokens
        assert difference(checkpoint, other, following) < CLOSE
    [again] = run(engine, messages)
    assert again.reused_tokens == 0, "its last token must be run, and the state before that one is gone"
    assert again.ids == reply.ids
    assert engine.pool.bytes > 0


def test_another_image_of_the_same_size_is_not_taken_for_the_first(checkpoint: Checkpoint) -> None:
    engine = engine_of(checkpoint)
    first, second = opening(checkpoint, 0), opening(checkpoint, 1)
    run(engine, first)
    assert (
        plain_inputs(checkpoint, first)["input_ids"].tolist() == plain_inputs(checkpoint, second)["input_ids"].tolist()
    )
    [reply] = run(engine, second)
    start = engine.writer.write(second).pictures[0].start
    assert reply.reused_tokens == start
    assert difference(checkpoint, second, reply) < CLOSE


def test_the_same_prompt_again_runs_one_token_and_replies_the_same(checkpoint: Checkpoint) -> None:
    engine, messages = engine_of(checkpoint), opening(checkpoint)
    [first], [again] = run(engine, messages), run(engine, messages)
    assert again.reused_tokens == again.prompt_tokens - 1
    assert again.ids == first.ids
    assert difference(checkpoint, messages, again) < CLOSE
    assert len(engine.pool) == 1


def test_a_reply_that_is_written_in_other_tokens_next_time_is_run_again(checkpoint: Checkpoint) -> None:
    engine, messages = engine_of(checkpoint), opening(checkpoint)
    tokenizer = engine.writer.tokenizer
    prompt = engine.writer.write(messages)
    [reply] = run(engine, messages)
    spelt = [*messages, AIMessage(reply.text), HumanMessage("Go on.")]
    ids = engine.writer.write(spelt).ids[len(prompt.ids) :]
    assert list(ids[: len(reply.written)]) != reply.written or tokenizer.decode(reply.written) == reply.text
    [following] = run(engine, spelt)
    assert following.reused_tokens >= len(prompt.ids) - 1
    assert difference(checkpoint, spelt, following) < CLOSE


def test_two_conversations_about_one_image_do_not_take_each_others_state(checkpoint: Checkpoint) -> None:
    engine = engine_of(checkpoint)
    one, two = opening(checkpoint), opening(checkpoint, question="Where is it?")
    [first] = run(engine, one)
    [second] = run(engine, two)
    assert 0 < second.reused_tokens < len(engine.writer.write(one).ids)
    assert difference(checkpoint, two, second) < CLOSE
    assert len(engine.pool) == 2
    for messages, reply in ((one, first), (two, second)):
        longer = [*messages, said(reply), HumanMessage("Sure?")]
        [following] = run(engine, longer)
        assert following.reused_tokens >= reply.prompt_tokens
        assert difference(checkpoint, longer, following) < CLOSE
    assert len(engine.pool) == 2


def test_the_pool_keeps_the_newest_within_its_number_and_its_size(checkpoint: Checkpoint) -> None:
    engine = engine_of(checkpoint, conversations=2)
    for shade in range(3):
        run(engine, opening(checkpoint, shade))
    assert len(engine.pool) == 2
    [reply] = run(engine, opening(checkpoint, 2))
    assert reply.reused_tokens == reply.prompt_tokens - 1
    [reply] = run(engine, opening(checkpoint, 0))
    assert reply.reused_tokens < reply.prompt_tokens - 1
    size = engine.pool.bytes // 2
    small = engine_of(checkpoint, size=size + size // 2)
    for shade in range(3):
        run(small, opening(checkpoint, shade))
        assert small.pool.bytes <= small.pool.max_bytes
    assert len(small.pool) == 1
    for none in (engine_of(checkpoint, size=10), engine_of(checkpoint, conversations=0)):
        run(none, opening(checkpoint))
        [reply] = run(none, opening(checkpoint))
        assert (len(none.pool), none.pool.bytes, reply.reused_tokens) == (0, 0, 0)


@pytest.mark.parametrize(
    ("fault", "expected", "words"),
    [
        (OSError("the pipe is closed"), OSError, "the pipe is closed"),
        (torch.OutOfMemoryError("2 GiB"), PolicyError, "cpu has too little memory left for a batch of 1"),
    ],
    ids=["a bug", "memory"],
)
def test_a_run_that_fails_halfway_leaves_no_state_behind(
    checkpoint: Checkpoint, fault: Exception, expected: type[Exception], words: str
) -> None:
    engine, messages = engine_of(checkpoint), opening(checkpoint)
    [reply] = run(engine, messages)
    messages = [*messages, said(reply), HumanMessage("And?")]
    prompt = engine.writer.write(messages)
    written: list[str] = []

    def fail(piece: str) -> None:
        written.append(piece)
        if len(written) > 1:
            raise fault

    limits = Limits(40, ends=())
    failing = Generation(prompt, Reply(engine.writer.tokenizer, limits, on_text=fail), Sampler(GREEDY, prompt.ids))
    with pytest.raises(expected, match=words):
        engine.run([failing])
    assert len(engine.pool) == 0
    [reply] = run(engine, messages)
    assert reply.reused_tokens == 0
    assert difference(checkpoint, messages, reply) < CLOSE


def test_a_sliding_window_is_reused_only_where_nothing_was_forgotten(seed_checkpoint: Path, tmp_path: Path) -> None:
    kinds = ["full_attention", "sliding_attention"]
    folder = make_checkpoint(
        "qwen2_5_vl", seed_checkpoint, tmp_path / "sliding", use_sliding_window=True, sliding_window=16,
        max_window_layers=1, layer_types=kinds,
    )  # fmt: skip
    checkpoint = open_checkpoint(folder)
    engine, messages = engine_of(checkpoint), opening(checkpoint)
    for turn in turns(checkpoint):
        [reply] = run(engine, messages)
        assert difference(checkpoint, messages, reply) < CLOSE
        changed = [*messages[:-1], HumanMessage("Something else.")]
        [other] = run(engine, changed)
        assert difference(checkpoint, changed, other) < CLOSE
        messages = [*messages, said(reply), turn]
