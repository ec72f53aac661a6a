"""The forward pass of Qwen2.5-VL's vision tower for views of one size, over the weights of the real class.

transformers' class takes views of any sizes, one after the other, and runs parts of it in 32 bits. A batch of views
of one size needs no index arithmetic, and computing in bfloat16 throughout takes a half of the time on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

from cof_agent.errors import ConfigError

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's, of the channels, as in all Qwen2.5-VL checkpoints."""

_EPSILON = 1e-6


def patches(pixels: torch.Tensor, tower: Qwen2_5_VisionTransformerPretrainedModel, dtype: torch.dtype) -> torch.Tensor:
    """Views, (views, height, width, 3) bytes, as the tower's patches (views, patches, 3·14·14), once for both frames.

    They come in the tower's order: those of one visual token together.
    """
    size, merge = tower.patch_size, tower.spatial_merge_size
    views, height, width, _ = pixels.shape
    scale = 1 / (255 * torch.tensor(DEVIATION))
    shift = torch.tensor(MEAN) / torch.tensor(DEVIATION)
    values = pixels.to(torch.float32).mul_(scale).sub_(shift).to(dtype)
    step = size * merge
    split = values.view(views, height // step, merge, size, width // step, merge, size, 3)
    return split.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(views, -1, 3 * size * size)


def look(tower: Qwen2_5_VisionTransformerPretrainedModel, pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What the tower makes of views, (views, height, width, 3) bytes: (views, tokens, width of the language model).

    Computed in `dtype`; gradients reach the tower's own weights. Raises ConfigError when the views are larger than the
    window of a layer that does not see all of a view.
    """
    views, height, width, _ = pixels.shape
    windowed = len(tower.fullatt_block_indexes) < len(tower.blocks)
    if windowed and max(height, width) > tower.window_size:
        raise ConfigError(
            f"views of {width}x{height} pixels are larger than the tower's window of {tower.window_size}: "
            "make the window as large as the views"
        )

    def cast(weight: Any) -> torch.Tensor:
        return weight.to(dtype)

    def linear(x: torch.Tensor, layer: Any) -> torch.Tensor:
        return F.linear(x, cast(layer.weight), cast(layer.bias))

    def norm(x: torch.Tensor, layer: Any) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], cast(layer.weight), _EPSILON)

    cos, sin = _rotation(tower, height, width, dtype)
    kernel = tower.patch_embed.proj.weight.sum(2)  # both frames of a still image are the same
    x = F.linear(patches(pixels, tower, dtype), cast(kernel.flatten(1)))
    for block in tower.blocks:
        qkv = linear(norm(x, block.norm1), block.attn.qkv)
        q, k, v = qkv.view(views, x.shape[1], 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        seen = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + linear(seen.transpose(1, 2).flatten(2), block.attn.proj)
        y = norm(x, block.norm2)
        x = x + linear(F.silu(linear(y, block.mlp.gate_proj)) * linear(y, block.mlp.up_proj), block.mlp.down_proj)
    merger = tower.merger
    merged = norm(x, merger.ln_q).reshape(views, -1, merger.hidden_size)
    return linear(F.gelu(linear(merged, merger.mlp[0])), merger.mlp[2])


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
    """Attention of queries (views, heads, places, width) to keys and values of the same or fewer heads.

    `seen` (places, keys) is added to the scores: 0, or minus infinity where a key is not to be seen. Written out: on a
    CPU the fused one takes longer in bfloat16.
    """
    views, heads, places, width = q.shape
    scores = (q * width**-0.5).reshape(views, k.shape[1], -1, width) @ k.transpose(2, 3)
    if seen is not None:
        scores = (scores.unflatten(2, (-1, places)) + seen).flatten(2, 3)
    return (torch.softmax(scores, -1) @ v).view(views, heads, places, width)


def _rotation(
    tower: Qwen2_5_VisionTransformerPretrainedModel, height: int, width: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines by patch, (patches, width of a head)."""
    size, merge = tower.patch_size, tower.spatial_merge_size
    grid = torch.stack(torch.meshgrid(torch.arange(height // size), torch.arange(width // size), indexing="ij"))
    rows, columns = height // size // merge, width // size // merge
    places = grid.view(2, rows, merge, columns, merge).transpose(2, 3).flatten(1).T
    cos, sin = tower.rotary_pos_emb(torch.empty(0), places)
    return cos.to(dtype), sin.to(dtype)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Queries or keys turned by their positions."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin
