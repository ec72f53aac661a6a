"""Tokens that steer a model and are no words of it: ends of turns, paddings, marks around boxes and images."""

from __future__ import annotations

import re

_FORMS = (
    r"<\|im_start\|>(?:assistant|user|system|tool)\b|<\|start_header_id\|>[a-z]{1,20}<\|end_header_id\|>"
    r"|<[|｜][^<>|｜\n]{1,60}[|｜]>"  # ChatML and Qwen, Llama 3, Phi, and DeepSeek with its wide bars
    r"|</?(?:s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn|end_of_utterance|start_of_image|end_of_image"
    r"|image_soft_token|fake_token_around_image)>"  # Llama 2, Gemma, SmolVLM
    r"|\[/?INST\]"  # Mistral
)
_TOKEN = re.compile(_FORMS)
"""Forms of such tokens, after the chat templates of the families named."""

_END = re.compile(
    r"<\|(?:im_end|endoftext|end_of_text|eot_id|eom_id|end|return|eos)\|>"
    r"|<｜end▁of▁sentence｜>|</s>|<eos>|<end_of_turn>|<end_of_utterance>"
)
"""Those that end a turn: what a runaway model writes after one is no part of its turn."""

_NEXT_TURN = re.compile(rf"\s*+(?:\Z|{_FORMS}|(?:user|assistant|system|tool|human)\b[ \t]*+(?:[:\n]|\Z))", re.I)
"""What follows the end of a turn: nothing, further tokens, or the head of another turn."""

_STRUCK = 2_000
"""Characters that a struck-out `<s>…</s>` may have."""


def without_tokens(text: str) -> str:
    """`text` up to the token that ends its turn, without any tokens and without the blanks around it.

    A token in a sentence ends nothing, and a struck-out `<s>…</s>` in a sentence is no token.
    """
    said: list[str] = []
    at = 0
    begun = False
    for token in _TOKEN.finditer(text):
        if token.start() < at:
            continue
        between = text[at : token.start()]
        at = token.end()
        begun = begun or bool(between.strip())
        said.append(between)
        if token[0] == "<s>":
            close = text.find("</s>", at, at + _STRUCK)
            if close >= 0 and (begun or not _NEXT_TURN.match(text, close + 4)):
                said.append(text[token.start() : close + 4])
                at, begun = close + 4, True
        elif begun and _END.fullmatch(token[0]):
            if _NEXT_TURN.match(text, at):
                return "".join(said).strip()
            said.append(" ")
    said.append(text[at:])
    whole = "".join(said).strip()
    return _BLANKS.sub(" ", whole) if len(said) > 1 else whole


_BLANKS = re.compile(r" {2,}")
