"""A byte-level BPE tokenizer with the special tokens of Qwen-VL, trained on a page of our own text."""

from __future__ import annotations

from importlib import resources

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import get_dialect
from cof_agent.errors import ConfigError

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
"""The special tokens of Qwen2.5-VL, in its order; decoding can leave them out."""

TAGS = ("<tool_call>", "</tool_call>")
"""Single tokens that are text all the same: decoding keeps them."""

_PIECES = r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What BPE never joins: words with the space before them, single digits, runs of signs, runs of white space."""

_CONTENT_ONLY = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {"content": {"close_pattern": r"<\|im_end\|>|<\|endoftext\|>", "content": "text"}},
}
"""Tells `transformers serve` to hand on thoughts and calls as they were written, for dialects in text."""


def train_tokenizer(vocab: int, *, whole_numbers: int = 0, text: str = "", max_length: int) -> PreTrainedTokenizerFast:
    """A tokenizer of exactly `vocab` tokens that writes any text and reads the same text back.

    It is trained on the prompts of dialect `cof`, our own page of questions and answers, and `text`. With
    `whole_numbers` = N every number from 0 to N-1 that stands alone is one token; all others are single digits. The
    same arguments give the same tokenizer. Raises ConfigError when `vocab` has no room for the bytes, numbers and
    special tokens, or is more than the text can fill.
    """
    numbers = [str(number) for number in range(10, whole_numbers)]  # single digits are bytes, and so there already
    fixed = len(numbers) + len(TAGS) + len(SPECIAL)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocab < fixed + len(alphabet):
        raise ConfigError(
            f"a vocabulary of {vocab} tokens is too small: {len(alphabet)} bytes and {fixed} numbers, tags and special "
            f"tokens need at least {fixed + len(alphabet)}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab - fixed, initial_alphabet=alphabet, special_tokens=[], show_progress=False
    )
    tokenizer.train_from_iterator([*_lines(), *text.splitlines(keepends=True)], trainer)
    tokenizer.add_tokens([AddedToken(number, single_word=True, normalized=False) for number in numbers])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    if (filled := tokenizer.get_vocab_size()) != vocab:
        raise ConfigError(
            f"a vocabulary of {vocab} tokens is more than the text can fill: lower it to {filled} or give more `text`"
        )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        model_max_length=max_length,
        response_template=_CONTENT_ONLY,
    )


def _lines() -> list[str]:
    """What the tokenizer is trained on."""
    prompts = Profile().prompts
    told = get_dialect("cof").render([], Profile(tools=("image_zoom_in_tool", "image_crop_tool")), tools=True)
    spoken = [str(told[0].content), prompts.direct, prompts.reminder, prompts.format_error, prompts.closing]
    page = resources.files(__package__).joinpath("seed_text.txt").read_text(encoding="utf-8")
    return [line for text in [*spoken, page] for line in text.splitlines(keepends=True)]
