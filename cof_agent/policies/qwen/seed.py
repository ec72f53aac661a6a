"""A random Qwen2.5-VL checkpoint of any size, with a real tokenizer and chat template.

It can do nothing until it is trained. The smallest loads in a moment through the real classes, for tests; larger
sizes are where training of an embedded policy starts. `python -m cof_agent.policies.qwen.seed DIR` writes the
smallest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from cof_agent.dialects.profile import Profile
from cof_agent.errors import CofError, ConfigError
from cof_agent.policies.qwen.quiet import quietly
from cof_agent.policies.qwen.seed_tokenizer import train_tokenizer

_PATCH, _MERGE, _FRAMES = 14, 2, 2
"""Qwen2.5-VL's: a visual token is 2 × 2 patches of 14 × 14 pixels; a still image counts as two frames."""

_ROPE_BASE = 1e6
"""Qwen2.5-VL's base of the rotary frequencies."""


@dataclass(frozen=True, slots=True)
class SeedSizes:
    """How large the checkpoint is. The defaults make 0.25 million parameters, 1 MB in 32 bits."""

    vocab: int = 704
    """Tokens: bytes, special tokens and tags take 272, then come the numbers, the rest is learnt from text."""
    text_width: int = 64
    text_depth: int = 2
    text_heads: int = 4
    text_kv_heads: int = 2
    """Heads of keys and values; each serves `text_heads` / `text_kv_heads` heads."""
    text_mlp: int = 128
    vision_width: int = 32
    vision_depth: int = 2
    """Layers of the vision tower: every second one, and the last, sees the whole image, the others `window`."""
    vision_heads: int = 2
    vision_mlp: int = 64
    window: int = 112
    """Side, in pixels of the view, of the squares that most layers of the vision tower look at."""
    max_positions: int = 32_768
    tie_embeddings: bool = False
    """Whether the output layer shares its weights with the input embeddings."""

    def __post_init__(self) -> None:
        for field in self.__dataclass_fields__:
            if getattr(self, field) < (0 if field == "tie_embeddings" else 1):
                raise ConfigError(f"{field} must be at least 1, not {getattr(self, field)}")
        for width, heads, multiple, least in (
            ("text_width", "text_heads", 2, 6),
            ("vision_width", "vision_heads", 4, 4),
        ):
            head, rest = divmod(getattr(self, width), getattr(self, heads))
            if rest or head % multiple or head < least:
                raise ConfigError(
                    f"{width}={getattr(self, width)} and {heads}={getattr(self, heads)} do not fit: each head needs a "
                    f"whole width, a multiple of {multiple} and at least {least}"
                )
        if self.text_heads % self.text_kv_heads:
            raise ConfigError(f"text_heads={self.text_heads} must be a multiple of text_kv_heads={self.text_kv_heads}")
        if self.window % (_PATCH * _MERGE):
            raise ConfigError(f"window={self.window} must be a multiple of {_PATCH * _MERGE} pixels")

    @property
    def rotary_sections(self) -> list[int]:
        """How the frequencies of a text head are shared out: time, height, width (Qwen2.5-VL's is 1:1.5:1.5)."""
        half = self.text_width // self.text_heads // 2
        row = half * 3 // 8 or 1
        return [half - 2 * row, row, row]

    @property
    def whole_image_layers(self) -> list[int]:
        """The layers of the vision tower that see the whole image."""
        return sorted({*range(1, self.vision_depth, 2), self.vision_depth - 1})


_SMALLEST = SeedSizes()


def write_seed(
    directory: str | Path,
    *,
    sizes: SeedSizes = _SMALLEST,
    seed: int = 0,
    whole_numbers: int = 0,
    text: str = "",
    profile: Profile | None = None,
) -> Path:
    """Write a random checkpoint to `directory`, which must be new or empty, and return it.

    Its weights come from `seed` alone: the same arguments write the same bytes with the same versions of torch and
    transformers. `whole_numbers` and `text` are `train_tokenizer`'s. `profile` (default: dialect `cof`) goes to
    `focus.json`. The image processor leaves images alone whose sides are multiples of 28, up to 3840² pixels.

    Raises ConfigError when the directory holds something, or the vocabulary does not suit the text.
    """
    folder = Path(directory).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not an empty directory: name a new one for the checkpoint")
    tokenizer = train_tokenizer(sizes.vocab, whole_numbers=whole_numbers, text=text, max_length=sizes.max_positions)
    template = resources.files(__package__).joinpath("chat_template.jinja").read_text(encoding="utf-8")
    tokenizer.chat_template = template
    ids: dict[str, int] = tokenizer.get_added_vocab()
    model = _random_model(_config(sizes, ids), seed)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]],
        pad_token_id=ids["<|endoftext|>"],
        # A policy writes no images; their placeholders in its text would ask for pixels that are not there.
        suppress_tokens=[ids[f"<|{name}|>"] for name in ("im_start", "vision_start", "image_pad", "video_pad")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    with quietly():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write_json(folder / "preprocessor_config.json", _IMAGES)
    _write_json(folder / "focus.json", (profile or Profile()).model_dump(mode="json"))
    return folder


_IMAGES = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
    "min_pixels": (_PATCH * _MERGE) ** 2,
    "max_pixels": 3840**2,
    "patch_size": _PATCH,
    "temporal_patch_size": _FRAMES,
    "merge_size": _MERGE,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
"""Mean and deviation of the channels are CLIP's, as in all Qwen2.5-VL checkpoints."""


def _config(sizes: SeedSizes, ids: dict[str, int]) -> Qwen2_5_VLConfig:
    text_end, turn_end = ids["<|endoftext|>"], ids["<|im_end|>"]
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": sizes.vocab,
            "hidden_size": sizes.text_width,
            "intermediate_size": sizes.text_mlp,
            "num_hidden_layers": sizes.text_depth,
            "num_attention_heads": sizes.text_heads,
            "num_key_value_heads": sizes.text_kv_heads,
            "max_position_embeddings": sizes.max_positions,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": _ROPE_BASE,
                "mrope_section": sizes.rotary_sections,
            },
            "tie_word_embeddings": sizes.tie_embeddings,
            "bos_token_id": text_end,
            "eos_token_id": turn_end,
            "pad_token_id": text_end,
        },
        vision_config={
            "depth": sizes.vision_depth,
            "hidden_size": sizes.vision_width,
            "intermediate_size": sizes.vision_mlp,
            "num_heads": sizes.vision_heads,
            "patch_size": _PATCH,
            "spatial_merge_size": _MERGE,
            "temporal_patch_size": _FRAMES,
            "window_size": sizes.window,
            "out_hidden_size": sizes.text_width,
            "fullatt_block_indexes": sizes.whole_image_layers,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=sizes.tie_embeddings,
    )


def _random_model(config: Qwen2_5_VLConfig, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2_5_VLForConditionalGeneration(config)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def seed_command(module: str, write: Callable[[str], Path], arguments: Sequence[str]) -> int:
    """`python -m MODULE DIR`: have `write` make a seed in DIR. Returns the exit code: 2 wrong usage, 1 an error."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(f"usage: python -m {module} DIR", file=sys.stderr)
        return 2
    try:
        print(write(arguments[0]))
    except CofError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str]) -> int:
    """Write the smallest seed to the directory named. Returns the exit code."""
    return seed_command("cof_agent.policies.qwen.seed", write_seed, arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
