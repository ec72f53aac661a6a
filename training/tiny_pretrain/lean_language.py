"""The forward pass of Qwen2.5-VL's language model, over the weights of the real class.

As in `lean_tower`, it computes in one precision throughout; and it tells what is attended to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from training.tiny_pretrain.lean_tower import attend, rotate

WATCHED_HEADS = 2
"""Heads of a layer, the first ones, whose looks are told."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the language model makes of a batch of texts."""

    half: torch.Tensor
    """States after half of the layers, (texts, length, width)."""
    last: torch.Tensor
    """States after all, (texts, length, width)."""
    looks: tuple[torch.Tensor, ...]
    """For each layer of the second half, the log of how much a place attends to each place: (texts, `WATCHED_HEADS`,
    watched places, length). Empty when not watched."""


def positions(ids: torch.Tensor, grids: Sequence[Sequence[tuple[int, int]]], placeholder: int) -> torch.Tensor:
    """Positions (time, row, column) of each token, (3, texts, length).

    `ids` (texts, length) hold `placeholder` for each visual token; `grids` are columns and rows of each text's images,
    between which there is text.
    """
    found = torch.empty((3, *ids.shape), dtype=torch.long)
    for number, (row, images) in enumerate(zip(ids, grids, strict=True)):
        visual = row == placeholder
        steps = (~visual).long()  # how far each token moves the position of what follows
        starts = torch.nonzero(visual & ~F.pad(visual, (1, 0))[:-1])[:, 0].tolist()
        for (columns, rows), start in zip(images, starts, strict=True):
            steps[start + rows * columns - 1] = max(rows, columns)
        found[:, number] = steps.cumsum(0) - steps
        for (columns, rows), start in zip(images, starts, strict=True):
            parts = torch.meshgrid(torch.arange(1), torch.arange(rows), torch.arange(columns), indexing="ij")
            at = slice(start, start + rows * columns)
            found[:, number, at] = torch.stack(parts).flatten(1) + found[0, number, start]
    return found


def speak(
    model: Any,
    ids: torch.Tensor,
    images: torch.Tensor,
    where: torch.Tensor,
    dtype: torch.dtype,
    watched_from: int | None = None,
) -> Spoken:
    """The hidden states of texts `ids` (texts, length), and what they attend to from place `watched_from` on,
    1 at least.

    `ids` hold placeholders for the visual tokens `images` (tokens of all images in their order, width), and `where`
    are their `positions`. What follows the end of a text does not change what comes before.
    """
    text, placeholder = model.model.language_model, model.config.image_token_id
    words = F.embedding(ids, text.embed_tokens.weight).to(dtype)
    words = words.index_put(torch.nonzero(ids == placeholder, as_tuple=True), images.to(dtype))
    cos, sin = (part[:, None] for part in text.rotary_emb(words, where))
    shared = min(_shared(ids, placeholder), watched_from or ids.shape[1])
    causal = torch.full((ids.shape[1], ids.shape[1]), float("-inf"), dtype=dtype, device=ids.device).triu(1)
    early, late = causal[:shared, :shared], causal[shared:]

    def linear(x: torch.Tensor, layer: Any) -> torch.Tensor:
        return F.linear(x, layer.weight.to(dtype), None if layer.bias is None else layer.bias.to(dtype))

    def norm(x: torch.Tensor, layer: Any) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], layer.weight.to(dtype), layer.variance_epsilon)

    def ask(x: torch.Tensor, layer: Any, texts: slice, places: slice) -> list[torch.Tensor]:
        """Queries, keys and values, (texts, heads, length, width of a head)."""
        y, attention = norm(x, layer.input_layernorm), layer.self_attn
        q, k, v = (
            linear(y, part).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
            for part in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        turn = cos[texts, :, places], sin[texts, :, places]
        return [rotate(q, *turn), rotate(k, *turn), v]

    def go_on(x: torch.Tensor, seen: torch.Tensor, layer: Any) -> torch.Tensor:
        x = x + linear(seen.transpose(1, 2).flatten(2), layer.self_attn.o_proj)
        y, mlp = norm(x, layer.post_attention_layernorm), layer.mlp
        return x + linear(F.silu(linear(y, mlp.gate_proj)) * linear(y, mlp.up_proj), mlp.down_proj)

    def whole(opening: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
        return torch.cat((opening.expand(len(ids), *opening.shape[1:]), rest), -2)

    opening, x = words[:1, :shared], words[:, shared:]
    half, looks = words, []
    for number, layer in enumerate(text.layers):
        if number == len(text.layers) // 2:
            half = whole(opening, x)
        q, k, v = ask(opening, layer, slice(1), slice(shared))
        opening = go_on(opening, attend(q, k, v, early), layer)
        q, *rest = ask(x, layer, slice(None), slice(shared, None))
        k, v = (whole(first, then) for first, then in zip((k, v), rest, strict=True))
        if watched_from is not None and number >= len(text.layers) // 2:
            looks.append(_look(q[:, :WATCHED_HEADS, watched_from - shared :], k))
        x = go_on(x, attend(q, k, v, late), layer)
    return Spoken(half, norm(whole(opening, x), text.norm), tuple(looks))


def _shared(ids: torch.Tensor, placeholder: int) -> int:
    """How many tokens, one at least, all texts begin with before the first image: these are computed once."""
    same = (ids == ids[0]).all(0) & (ids != placeholder).all(0)
    return min(int(same.cumprod(0).sum()), ids.shape[1] - 1)


def _look(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    scores = (q @ k[:, :1].transpose(2, 3)).float() * q.shape[-1] ** -0.5
    asked, length = scores.shape[-2:]
    later = torch.ones(asked, length, dtype=torch.bool, device=q.device).triu(1 + length - asked)
    return scores.masked_fill(later, float("-inf")).log_softmax(-1)
