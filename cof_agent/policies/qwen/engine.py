"""Runs a model on prompts: one with what was run before kept, or several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from cof_agent.errors import PolicyError
from cof_agent.policies.qwen.checkpoint import Checkpoint
from cof_agent.policies.qwen.prefix import PrefixPool, Snapshot, can_be_cut
from cof_agent.policies.qwen.prompt import PromptWriter, TokenPrompt
from cof_agent.policies.qwen.reply import Reply
from cof_agent.policies.qwen.sampling import NextToken, Sampler


@dataclass(slots=True, eq=False)
class Generation:
    """One prompt to run, and the reply that is to be written."""

    prompt: TokenPrompt
    reply: Reply
    sampler: Sampler


class Engine:
    """Runs one checkpoint. To be used by one thread at a time."""

    def __init__(self, checkpoint: Checkpoint, pool: PrefixPool) -> None:
        self.checkpoint, self.pool = checkpoint, pool
        self.writer = PromptWriter(checkpoint)

    def room(self, prompt: TokenPrompt) -> int:
        """Tokens that a reply may have. Raises PolicyError for a prompt that leaves none."""
        room = self.checkpoint.positions - len(prompt.ids)
        if room < 1:
            raise PolicyError(
                f"the conversation has {len(prompt.ids)} tokens and {self.checkpoint.name} takes "
                f"{self.checkpoint.positions} with the reply: show fewer or smaller views (max_conversation_tokens, "
                "max_pixels)"
            )
        return room

    def run(self, tasks: Sequence[Generation]) -> None:
        """Write the replies of all tasks. One task alone starts from the state of an earlier prompt where one fits.

        Raises PolicyError when memory runs out; the states that were kept are then gone.
        """
        try:
            if len(tasks) == 1:
                self._run_on(tasks[0])
            else:
                self._generate(tasks, DynamicCache(config=self.checkpoint.model.config), 0)
        except (torch.OutOfMemoryError, MemoryError) as error:
            self.pool.clear()
            longest = max(len(task.prompt.ids) for task in tasks)
            raise PolicyError(
                f"{self.checkpoint.device} has too little memory left for a batch of {len(tasks)} with prompts of "
                f"up to {longest} tokens: lower max_batch, prefix_bytes or the views' max_pixels"
            ) from error

    def _run_on(self, task: Generation) -> None:
        key = task.prompt.key
        cache, known, before = self.pool.take(key)
        if cache is None:
            cache = DynamicCache(config=self.checkpoint.model.config)
        task.reply.reused_tokens = known
        snapshots = list(before)
        self._generate([task], cache, known, lambda: snapshots.extend(Snapshot.of(cache)))
        key += task.reply.written
        length = min(cache.get_seq_length(), len(key))
        if length < cache.get_seq_length():
            if not can_be_cut(cache):
                return
            cache.crop(length - cache.get_seq_length())
        self.pool.put(key[:length], len(task.prompt.ids), cache, snapshots)

    def _generate(
        self, tasks: Sequence[Generation], cache: Any, known: int, when_read: Callable[[], None] = lambda: None
    ) -> None:
        """Run what comes after the first `known` tokens, which `cache` holds, and write the replies.

        `when_read` is called once, when `cache` holds the prompts and nothing else.
        """
        for task in tasks:
            task.reply.prompt_tokens = len(task.prompt.ids)
            task.reply.visual_tokens = task.prompt.visual_tokens
        replies, device = [task.reply for task in tasks], self.checkpoint.device
        ends = list(replies[0].limits.ends)
        new = [picture for task in tasks for picture in task.prompt.pictures if picture.start >= known]
        inputs = self._padded(tasks, ends[0] if ends else 0) | self.writer.pixels(new)
        self.checkpoint.model.generate(
            **{name: tensor.to(device) for name, tensor in inputs.items()},
            past_key_values=cache,
            generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                max_new_tokens=max(reply.limits.max_new_tokens for reply in replies),
                do_sample=False,
                num_beams=1,
                use_cache=True,
                eos_token_id=ends or None,
                pad_token_id=ends[0] if ends else 0,
            ),
            logits_processor=LogitsProcessorList(
                [_Read(when_read), NextToken(replies, [task.sampler for task in tasks], self.checkpoint.never)]
            ),
            stopping_criteria=StoppingCriteriaList([_AllDone(replies)]),
        )

    def _padded(self, tasks: Sequence[Generation], pad: int) -> dict[str, torch.Tensor]:
        """Ids, mask and positions of all prompts, filled up on the left to the same length."""
        width = max(len(task.prompt.ids) for task in tasks)
        ids = torch.full((len(tasks), width), pad)
        mask = torch.zeros_like(ids)
        positions = torch.zeros((3, len(tasks), width), dtype=torch.long)
        for row, task in enumerate(tasks):
            length = len(task.prompt.ids)
            ids[row, width - length :] = torch.tensor(task.prompt.ids)
            mask[row, width - length :] = 1
            # Always explicit: the model would otherwise go on from the last conversation that it was run on.
            positions[:, row, width - length :] = self.positions(task.prompt)
        return {"input_ids": ids, "attention_mask": mask, "position_ids": positions}

    def positions(self, prompt: TokenPrompt) -> torch.Tensor:
        """Temporal, vertical and horizontal position of every token: shape (3, tokens)."""
        ids = torch.tensor([prompt.ids])
        grids = torch.tensor([self.writer.grid(picture) for picture in prompt.pictures]) if prompt.pictures else None
        kinds = (ids == self.checkpoint.image_token).int()
        found, _ = self.checkpoint.model.model.get_rope_index(ids, mm_token_type_ids=kinds, image_grid_thw=grids)
        positions: torch.Tensor = found[:, 0]
        return positions


class _Read(LogitsProcessor):  # type: ignore[misc,unused-ignore]
    """Says when the prompts were read: `generate` asks for the first token then."""

    def __init__(self, when_read: Callable[[], None]) -> None:
        self._when_read: Callable[[], None] | None = when_read

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._when_read:
            self._when_read()
            self._when_read = None
        return scores


class _AllDone(StoppingCriteria):  # type: ignore[misc,unused-ignore]
    def __init__(self, replies: Sequence[Reply]) -> None:
        self.replies = replies

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        for reply in self.replies:
            if not reply.done and reply.should_end():
                reply.abandon()
        return torch.tensor([reply.done for reply in self.replies], device=input_ids.device)
