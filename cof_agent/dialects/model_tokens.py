"""Tokens that steer a model and are no words of it: ends of turns, paddings, marks around boxes and images."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"<[|｜][^<>|｜\n]{1,60}[|｜]>"  # ChatML and Qwen, Llama 3, Phi, and DeepSeek with its wide bars
    r"|</?(?:s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn|end_of_utterance|start_of_image|end_of_image"
    r"|image_soft_token|fake_token_around_image)>"  # Llama 2, Gemma, SmolVLM
    r"|\[/?INST\]"  # Mistral
)
"""Forms of such tokens, after the chat templates of the families named."""

_END = re.compile(
    r"<\|(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|return|eos)\|>"
    r"|<｜end▁of▁sentence｜>|</s>|<eos>|<end_of_turn>|<end_of_utterance>"
)
"""Those that end a turn: what a runaway model writes after one is no part of its turn."""


def without_tokens(text: str) -> str:
    """`text` up to the first token that ends a turn, without any tokens and without the blanks around it."""
    first, *later = _END.split(text)
    spoken = (_TOKEN.sub("", part).strip() for part in (first, *later))
    return next(filter(None, spoken), "")
