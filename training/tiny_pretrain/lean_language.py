"""The forward pass of Qwen2.5-VL's language model after one image at a fixed place, over the weights of the real class.

As in `lean_tower`: for a batch whose images are of one size, and in bfloat16 throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from training.tiny_pretrain.lean_tower import rotate

WATCHED_HEADS = 2
"""Heads of a layer, the first ones, whose looks are told."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the language model makes of a batch of texts."""

    half: torch.Tensor
    """States after half of the layers, (views, length, width)."""
    last: torch.Tensor
    """States after all, (views, length, width)."""
    looks: tuple[torch.Tensor, ...]
    """For each layer of the second half, the log of how much each place attends to each visual token:
    (views, `WATCHED_HEADS`, length, tokens). Empty when not watched."""


def positions(before: int, rows: int, columns: int, after: int) -> torch.Tensor:
    """Positions (time, row, column) of `before` text tokens, an image of `rows` × `columns` tokens and `after` more."""
    text = torch.arange(before).expand(3, -1)
    grid = torch.stack(torch.meshgrid(torch.arange(1), torch.arange(rows), torch.arange(columns), indexing="ij"))
    start = before + max(rows, columns)
    return torch.cat((text, grid.flatten(1) + before, torch.arange(start, start + after).expand(3, -1)), 1)


def speak(
    model: Any,
    ids: torch.Tensor,
    image: torch.Tensor,
    before: int,
    grid: tuple[int, int],
    dtype: torch.dtype,
    watched: bool = False,
) -> Spoken:
    """The hidden states of texts `ids` (views, length), and if `watched` what they attend to.

    From place `before` on they hold placeholders for the visual tokens `image` (views, tokens, width) of `grid`
    (columns, rows). What follows the end of a text does not change what comes before.
    """
    text = model.model.language_model
    tokens = image.shape[1]
    words = F.embedding(ids, text.embed_tokens.weight).to(dtype)
    x = torch.cat((words[:, :before], image.to(dtype), words[:, before + tokens :]), 1)
    places = positions(before, grid[1], grid[0], ids.shape[1] - before - tokens)
    cos, sin = text.rotary_emb(x, places[:, None])

    def linear(x: torch.Tensor, layer: Any) -> torch.Tensor:
        return F.linear(x, layer.weight.to(dtype), None if layer.bias is None else layer.bias.to(dtype))

    def norm(x: torch.Tensor, layer: Any) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], layer.weight.to(dtype), layer.variance_epsilon)

    def heads(x: torch.Tensor, width: int) -> torch.Tensor:
        return x.unflatten(-1, (-1, width)).transpose(1, 2)

    half, looks = x, []
    for number, layer in enumerate(text.layers):
        half = x if number <= len(text.layers) // 2 else half
        attention = layer.self_attn
        y = norm(x, layer.input_layernorm)
        q, k, v = (
            heads(linear(y, part), attention.head_dim)
            for part in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if watched and number >= len(text.layers) // 2:
            looks.append(_look(q[:, :WATCHED_HEADS], k, slice(before, before + tokens)))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + linear(seen.transpose(1, 2).flatten(2), attention.o_proj)
        y = norm(x, layer.post_attention_layernorm)
        mlp = layer.mlp
        x = x + linear(F.silu(linear(y, mlp.gate_proj)) * linear(y, mlp.up_proj), mlp.down_proj)
    return Spoken(half, norm(x, text.norm), tuple(looks))


def _look(q: torch.Tensor, k: torch.Tensor, image: slice) -> torch.Tensor:
    scores = (q @ k[:, :1].transpose(2, 3)).float() * q.shape[-1] ** -0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, float("-inf")).log_softmax(-1)[..., image]
