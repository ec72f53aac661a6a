"""Thoughts that stand beside the text of a turn: servers with a parser for reasoning take them out of it."""

from __future__ import annotations

import re

from langchain_core.messages import AIMessage, BaseMessage

from cof_agent.dialects.finish import Finish, finish_of
from cof_agent.dialects.model_tokens import without_tokens

KEY = "reasoning_content"
"""Where a message has the thought, among its `additional_kwargs`."""

_MARKS = ("<answer>", "<tool_call>", "<grounding>", "<|image_zoomin|>", "\\boxed{")
"""What a call or an answer begins with, or a call ends with, in the dialects that are written."""


def thought_beside(message: BaseMessage) -> str | None:
    """The thought beside the text, without the blanks around it; None where there is no text under the key."""
    thought = message.additional_kwargs.get(KEY)
    return thought.strip() if isinstance(thought, str) else None


def all_thought(message: AIMessage) -> str | None:
    """The thought beside a turn without text and calls, where the turn itself stands in it; None anywhere else.

    A server that waits in vain for the end of a thought sends the whole turn as one. Where the thought tries several
    answers, goes on after one, or was cut, no answer in it is the turn's.
    """
    if message.text.strip() or message.tool_calls or message.invalid_tool_calls:
        return None
    thought = thought_beside(message) or ""
    if not any(mark in thought for mark in _MARKS):
        return None
    if "<answer>" not in thought and "\\boxed{" not in thought:
        return thought
    last = _LAST.search(thought[-_SEEN:]) if "<answer>" not in thought else None
    ends = last or without_tokens(thought).endswith("</answer>")
    once = thought.count("<answer>") + thought.count("\\boxed{") == 1
    return thought if once and ends and finish_of(message) is not Finish.CUT else None


def with_thought(message: AIMessage) -> str:
    """The text of a turn, after the thought beside it in `<think>`, unless the text has one of its own."""
    text, thought = str(message.text), thought_beside(message)
    if turn := all_thought(message):
        return turn
    parted = thought and "<think>" not in text and thought != text.strip()
    return f"<think>{thought}</think>{text}" if parted else text


def parted(text: str) -> tuple[str, str]:
    """The thought that a text begins with, and what follows it; without one, nothing and the text.

    A chat template may have opened the thought: then it has no `<think>`.
    """
    thought, end, rest = text.partition("</think>")
    before, opening, inside = thought.partition("<think>")
    if not end or (opening and before.strip()):
        return "", text
    return (inside if opening else thought).strip(), rest.lstrip()


_SEEN = 2_000
"""Characters at the end of a thought in which its boxed answer must stand."""

_LAST = re.compile(r"\\boxed\{[^\n]{0,1000}\}[\s$.)\]\\]{0,9}\Z")

_FAMILIES = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),  # Claude, many prompts
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("[think]", "[/think]"),  # Magistral
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    ("<|start_thinking|>", "<|end_thinking|>"),  # Cohere
    ("<|channel>thought", "<channel|>"),  # Gemma
)
_OPENING = {opening: family for family, (opening, _) in enumerate(_FAMILIES)}
_CLOSING = {closing: family for family, (_, closing) in enumerate(_FAMILIES)}
_ANY = re.compile("|".join(map(re.escape, [*_OPENING, *_CLOSING, "<answer>", "</answer>"])), re.I)

_CHANNEL = re.compile(r"(?:<\|start\|>\w{0,20})?<\|channel\|>([^<]{0,200})(?:<\|constrain\|>[^<]{0,40})?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call)\|>|<\|start\|>")
_BARE_CHANNELS = re.compile(r"\A\s*(?:assistant)?analysis(?=[A-Z\s\"'<])(?:(.*?)(?:assistant)\s?final|.*\Z)", re.S)
"""Harmony's channels where a server left their tokens out."""


def in_think_tags(text: str) -> str:
    """`text` with the thoughts in other families' marks in `<think>` and `</think>`."""
    if "<|channel|>" in text:
        text = _of_channels(text)
    elif (bare := _BARE_CHANNELS.match(text)) and (bare[1] is not None or text.lstrip()[8:9].isupper()):
        final = bare[1] is not None
        text = f"<think>{bare[1]}</think>{text[bare.end() :]}" if final else f"<think>{text}"
    last = {family: text.lower().rfind(closing) for closing, family in _CLOSING.items()} if _ANY.search(text) else {}
    parts: list[str] = []
    at, within, answering, begun = 0, -1, False, False
    for mark in _ANY.finditer(text):
        name, shown = mark[0].lower(), mark[0]
        if name in ("<answer>", "</answer>"):
            answering = name == "<answer>" and within < 0
        elif answering:
            pass
        elif within < 0 and name in _OPENING:
            family = _OPENING[name]
            if family == 0 or last[family] > mark.start() or _at_start(text, mark.start()):
                within, shown = family, "<think>"
        elif within >= 0 and _CLOSING.get(name) == within:
            within, shown = -1, "</think>"
        elif within < 0 and name in _CLOSING and not begun:
            shown = "</think>"  # the template had opened it
        begun = True
        parts += (text[at : mark.start()], shown)
        at = mark.end()
    return "".join([*parts, text[at:]])


def _at_start(text: str, at: int) -> bool:
    """Whether a line of the text begins here."""
    return not text[text.rfind("\n", max(0, at - 80), at) + 1 : at].strip() if at < 80 else text[at - 1] == "\n"


def _of_channels(text: str) -> str:
    """Harmony's final message, after the other ones as thoughts; calls stay as they are."""
    marks = list(_CHANNEL.finditer(text))
    parts = [text[: marks[0].start()] if marks else text]
    for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(text)], strict=False):
        name = mark[1].strip().lower()
        close = _CHANNEL_END.search(text, mark.end(), end)
        body = text[mark.end() : close.start() if close else end]
        if name.startswith("final"):
            parts.append(body)
        elif "to=" in name:
            parts.append(text[mark.start() : end])
        else:
            parts.append(f"<think>{body}" + "</think>" * (close is not None or end < len(text)))
    return "".join(parts)
