"""The forward pass of Qwen2.5-VL's vision tower for images side by side, over the weights of the real class.

transformers' class takes images one after the other, and runs parts of it in 32 bits. A batch of images is
computed at once, smaller ones filled up, and in one precision throughout: bfloat16 takes a half of the time on a CPU
with AVX512-BF16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

from cof_agent.errors import ConfigError

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's, of the channels, as in all Qwen2.5-VL checkpoints."""

PATCH, MERGE = 14, 2
"""Pixels of a patch's side, and patches of a visual token's side, as in all Qwen2.5-VL checkpoints."""

_SHIFT = tuple(mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True))
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Packed:
    """Images of any sizes side by side, as the tower takes them: those of fewer patches are filled up."""

    patches: torch.Tensor
    """(images, patches, 3·14·14) bytes, those of one visual token together. Both frames of a still image are alike."""
    places: torch.Tensor
    """(images, patches, 2): row and column of each patch, -1 where there is none."""

    @property
    def tokens(self) -> torch.Tensor:
        """(images, visual tokens): whether it is one of the image."""
        return self.places[:, :: MERGE * MERGE, 0] >= 0


def pack(images: Sequence[NDArray[np.uint8]]) -> Packed:
    """Images, (height, width, 3) each: whole numbers of visual tokens."""
    cut = [_patches(image) for image in images]
    most = max(len(patches) for patches, _ in cut)
    bytes_ = torch.zeros(len(cut), most, cut[0][0].shape[1], dtype=torch.uint8)
    places = torch.full((len(cut), most, 2), -1)
    for number, (patches, where) in enumerate(cut):
        bytes_[number, : len(patches)] = torch.from_numpy(patches)
        places[number, : len(where)] = torch.from_numpy(where)
    return Packed(bytes_, places)


def _patches(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The image's patches with row and column of each."""
    rows, columns = (side // (PATCH * MERGE) for side in image.shape[:2])
    cut = image.reshape(rows, MERGE, PATCH, columns, MERGE, PATCH, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    grid = np.indices((rows * MERGE, columns * MERGE)).reshape(2, rows, MERGE, columns, MERGE).transpose(1, 3, 2, 4, 0)
    return cut.reshape(-1, 3 * PATCH * PATCH), grid.reshape(-1, 2)


def look(tower: Qwen2_5_VisionTransformerPretrainedModel, packed: Packed, dtype: torch.dtype) -> torch.Tensor:
    """What the tower makes of images: (images, visual tokens, width of the language model), those of `packed.tokens`.

    Computed in `dtype`; gradients reach the tower's own weights. Raises ConfigError when an image is larger than the
    window of a layer that does not see all of one.
    """
    height, width = ((packed.places.amax((0, 1)) + 1) * PATCH).tolist()
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

    views, filled = len(packed.patches), packed.places[:, :, 0] < 0
    nowhere = torch.zeros(filled.shape, dtype=dtype, device=filled.device).masked_fill(filled, float("-inf"))
    unseen = nowhere[:, None, None, None] if filled.any() else None
    cos, sin = _rotation(tower, packed.places.clamp(min=0), dtype)
    kernel = tower.patch_embed.proj.weight.sum(2)  # both frames of a still image are the same
    x = F.linear(_values(packed.patches, dtype), cast(kernel.flatten(1)))
    for block in tower.blocks:
        qkv = linear(norm(x, block.norm1), block.attn.qkv)
        q, k, v = qkv.view(views, x.shape[1], 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        seen = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, unseen)
        x = x + linear(seen.transpose(1, 2).flatten(2), block.attn.proj)
        y = norm(x, block.norm2)
        x = x + linear(F.silu(linear(y, block.mlp.gate_proj)) * linear(y, block.mlp.up_proj), block.mlp.down_proj)
    merger = tower.merger
    merged = norm(x, merger.ln_q).reshape(views, -1, merger.hidden_size)
    return linear(F.gelu(linear(merged, merger.mlp[0])), merger.mlp[2])


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
    """Attention of queries (views, heads, places, width) to keys and values of the same or fewer heads.

    `seen` (places, keys), or by view (views, 1, 1, 1, keys), is added to the scores: 0, or minus infinity where a key
    is not to be seen. Written out: on a CPU the fused one takes longer in bfloat16.
    """
    views, heads, places, width = q.shape
    scores = (q * width**-0.5).reshape(views, k.shape[1], -1, width) @ k.transpose(2, 3)
    if seen is not None:
        scores = (scores.unflatten(2, (-1, places)) + seen).flatten(2, 3)
    return (torch.softmax(scores, -1) @ v).view(views, heads, places, width)


def _values(patches: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Bytes as the tower takes them, by channel."""
    scale, shift = (
        torch.tensor(values).repeat_interleave(PATCH * PATCH).to(patches.device)
        for values in ([1 / (255 * deviation) for deviation in DEVIATION], _SHIFT)
    )
    return patches.to(torch.float32).mul_(scale).sub_(shift).to(dtype)


def _rotation(
    tower: Qwen2_5_VisionTransformerPretrainedModel, places: torch.Tensor, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines by patch, (images, 1, patches, width of a head)."""
    cos, sin = tower.rotary_pos_emb(torch.empty(0, device=places.device), places.flatten(0, 1))
    shape = (len(places), 1, places.shape[1], -1)
    return cos.view(shape).to(dtype), sin.view(shape).to(dtype)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Queries or keys turned by their positions."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin
