"""How the next token is chosen."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from transformers import LogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from cof_agent.errors import ConfigError
from cof_agent.policies.qwen.reply import Reply


@dataclass(frozen=True, slots=True)
class Sampling:
    """Settings of one reply."""

    temperature: float
    """0: always the likeliest token."""
    top_p: float
    top_k: int
    """0: no limit."""
    repetition_penalty: float
    seed: int | None
    """None: another one each time. The same seed and the same prompt make the same reply, whatever runs beside it."""

    def __post_init__(self) -> None:
        for name, kind, fits, need in _RANGES:
            value = getattr(self, name)
            number = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not fits(value):
                raise ConfigError(f"{name} must be {need}, not {value!r}")
        if self.seed is not None and (not isinstance(self.seed, Integral) or isinstance(self.seed, bool)):
            raise ConfigError(f"seed must be a whole number, not {self.seed!r}")


_RANGES: tuple[tuple[str, Any, Callable[[Any], bool], str], ...] = (
    ("temperature", Real, lambda value: value >= 0, "a number of at least 0"),
    ("top_p", Real, lambda value: 0 < value <= 1, "a number over 0 and at most 1"),
    ("top_k", Integral, lambda value: value >= 0, "a whole number of at least 0"),
    ("repetition_penalty", Real, lambda value: value > 0, "a number over 0"),
)


class Sampler:
    """Chooses the tokens of one reply."""

    def __init__(self, sampling: Sampling, ids: Sequence[int]) -> None:
        self.sampling = sampling
        self.seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
        self._seen = set(ids) if sampling.repetition_penalty != 1 else None
        self._warpers: list[Any] = []
        if sampling.temperature:
            self._warpers.append(TemperatureLogitsWarper(float(sampling.temperature)))
            if sampling.top_k:
                self._warpers.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p < 1:
                self._warpers.append(TopPLogitsWarper(float(sampling.top_p)))
            digest = hashlib.sha256(f"{self.seed} {list(ids)}".encode()).digest()
            self._random = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    @property
    def draws(self) -> bool:
        """Whether chance has a part in it."""
        return bool(self._warpers)

    @property
    def takes_likeliest(self) -> bool:
        """Whether the highest score is the choice, with nothing to change before."""
        return not self._warpers and self._seen is None

    def choose(self, scores: torch.Tensor) -> int:
        """A token id for `scores`: one float for every token; -inf where it must not be chosen."""
        if self._seen is not None:
            at = torch.tensor(sorted(self._seen), device=scores.device)
            at = at[at < scores.shape[-1]]
            old, penalty = scores[at], self.sampling.repetition_penalty
            scores = scores.clone()
            scores[at] = torch.where(old < 0, old * penalty, old / penalty)
        if self._warpers:
            scores = scores[None]
            for warper in self._warpers:
                scores = warper(None, scores)
            # A draw of our own for each reply: `generate` draws for a batch at once, and a reply would depend on it.
            heap = scores[0].softmax(-1).cumsum(-1)
            draw = torch.rand((), generator=self._random).item() * heap[-1]
            token = int(torch.searchsorted(heap, draw, right=True))
            token = token if token < len(heap) else int(scores[0].argmax())
        else:
            token = int(scores.argmax())
        if self._seen is not None:
            self._seen.add(token)
        return token


class NextToken(LogitsProcessor):  # type: ignore[misc,unused-ignore]
    """Makes `generate` take the token that each reply's own sampler chooses, and hands it to the reply."""

    def __init__(self, replies: Sequence[Reply], samplers: Sequence[Sampler], never: Sequence[int]) -> None:
        self.replies, self.samplers = replies, samplers
        self.never = torch.tensor(never, dtype=torch.long)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for reply, raw in zip(self.replies, scores, strict=True):
            if reply.logits is not None and not reply.done:
                reply.logits.append(raw.clone())
        wanted = any(reply.logprobs is not None for reply in self.replies)
        total = scores.logsumexp(-1).tolist() if wanted else [0.0] * len(scores)
        self.never = self.never.to(scores.device)
        scores = scores.index_fill(-1, self.never, -torch.inf)
        likeliest = scores.argmax(-1).tolist()
        chosen = torch.full_like(scores, -torch.inf)
        for row, (reply, sampler) in enumerate(zip(self.replies, self.samplers, strict=True)):
            token = likeliest[row]
            if not reply.done:
                token = token if sampler.takes_likeliest else sampler.choose(scores[row])
                reply.add(token, float(scores[row, token]) - total[row] if wanted else 0.0)
            chosen[row, token] = 0.0
        return chosen
