"""A conversation as a Qwen-VL model takes it: token ids with images among them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jinja2
import torch
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from cof_agent.dialects.thoughts import KEY, parted
from cof_agent.errors import ConfigError
from cof_agent.policies.qwen.checkpoint import Checkpoint, Found
from cof_agent.policies.qwen.pictures import IMAGE_BLOCKS, PromptImage, read_picture

_UNSPOKEN = ("reasoning", "thinking", "redacted_thinking", "tool_call", "tool_use", "function_call", "non_standard")
"""Content blocks of policy turns that are not text; calls are read from `tool_calls`."""


@dataclass(frozen=True, slots=True)
class TokenPrompt:
    """What the model is run on."""

    ids: tuple[int, ...]
    pictures: tuple[PromptImage, ...] = ()

    @property
    def visual_tokens(self) -> int:
        return sum(picture.tokens for picture in self.pictures)

    @property
    def key(self) -> list[int | str]:
        """What decides the model's state after each position: ids, and for visual tokens the image they come from."""
        key: list[int | str] = list(self.ids)
        for picture in self.pictures:
            key[picture.start : picture.start + picture.tokens] = [picture.digest] * picture.tokens
        return key


class PromptWriter:
    """Writes conversations as prompts of one checkpoint, whose weights it does not need."""

    def __init__(self, checkpoint: Checkpoint | Found) -> None:
        self.checkpoint = checkpoint
        self.tokenizer = checkpoint.processor.tokenizer
        template = checkpoint.processor.chat_template or self.tokenizer.chat_template
        if not isinstance(template, str):
            raise ConfigError(f"{checkpoint.name} has no chat template: put a chat_template.jinja into its directory")
        self.template = template
        special = {token.content: id for id, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        self._special = _any_of(special)
        self._structure = _any_of(token for token, id in special.items() if id in checkpoint.structure)

    @property
    def renders_tools(self) -> bool:
        """Whether the chat template has a place for the schemas of tools."""
        return "tools" in self.template

    def write(self, messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]] | None = None) -> TokenPrompt:
        """The prompt for the next turn.

        Text that spells a special token is text: it can neither end a turn nor stand for an image. Only in the policy's
        own words is a special token itself that is not of the conversation's structure, as it is when it writes it.
        Raises ConfigError for what the model cannot take, such as an image whose sides do not fit, and ImageError.
        """
        pictures: list[PromptImage] = []
        turns = [self._turn(message, pictures) for message in messages]
        given, mark = self._guarded(turns, list(tools or []))
        try:
            text = self.tokenizer.apply_chat_template(
                given["turns"],
                tools=given["tools"] or None,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=True,
            )
        except (jinja2.TemplateError, TypeError) as error:
            raise ConfigError(
                f"the chat template of {self.checkpoint.name} does not take this conversation: {error}"
            ) from error
        return self._with_pictures(self._ids(text, mark), pictures)

    def pixels(self, pictures: Sequence[PromptImage]) -> dict[str, torch.Tensor]:
        """The model's inputs for images, none of them resized; empty for none."""
        if not pictures:
            return {}
        out = self.checkpoint.processor.image_processor(
            images=[picture.pixels() for picture in pictures], do_resize=False, return_tensors="pt"
        )
        expected = [list(self.grid(picture)) for picture in pictures]
        if out["image_grid_thw"].tolist() != expected:
            raise ConfigError(
                f"the processor of {self.checkpoint.name} made grids {out['image_grid_thw'].tolist()} of images for "
                f"which {expected} is right: its preprocessor_config.json does not fit its config.json"
            )
        return {"pixel_values": out["pixel_values"], "image_grid_thw": out["image_grid_thw"]}

    def grid(self, picture: PromptImage) -> tuple[int, int, int]:
        """Vision patches of an image: frames, rows, columns."""
        return 1, picture.size[1] // self.checkpoint.patch, picture.size[0] // self.checkpoint.patch

    def _turn(self, message: BaseMessage, pictures: list[PromptImage]) -> dict[str, Any]:
        content = self._content(message, pictures)
        if isinstance(message, SystemMessage):
            return {"role": "system", "content": content}
        if isinstance(message, HumanMessage):
            return {"role": "user", "content": content}
        if isinstance(message, ToolMessage):
            return {"role": "tool", "content": content, "tool_call_id": message.tool_call_id, "name": message.name}
        if isinstance(message, AIMessage):
            turn: dict[str, Any] = {"role": "assistant", "content": content}
            if message.additional_kwargs.get(KEY) and isinstance(content, str) and KEY in self.template:
                turn[KEY], turn["content"] = parted(content)
            if message.tool_calls and "<tool_call>" not in message.text:  # else the text has them, verbatim
                turn["tool_calls"] = [
                    {"type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
                    for call in message.tool_calls
                ]
            return turn
        raise ConfigError(f"a local model takes no {type(message).__name__}: send system, human, AI and tool messages")

    def _content(self, message: BaseMessage, pictures: list[PromptImage]) -> str | list[dict[str, Any]]:
        if isinstance(message.content, str):
            return message.content
        blocks: list[dict[str, Any]] = []
        for block in message.content:
            if isinstance(block, str) or block.get("type") == "text":
                text = block if isinstance(block, str) else str(block.get("text", ""))
                if blocks and blocks[-1]["type"] == "text":
                    blocks[-1]["text"] += text  # so that no special token can be spelt across two blocks
                else:
                    blocks.append({"type": "text", "text": text})
            elif block.get("type") in IMAGE_BLOCKS:
                pictures.append(self._fitting(read_picture(block)))
                blocks.append({"type": "image"})
            elif not (isinstance(message, AIMessage) and block.get("type") in _UNSPOKEN):
                raise ConfigError(f"a local model takes text and images, not a block of type {block.get('type')!r}")
        if all(block["type"] == "text" for block in blocks):
            return "".join(block["text"] for block in blocks)
        return blocks

    def _fitting(self, picture: PromptImage) -> PromptImage:
        (width, height), factor = picture.size, self.checkpoint.factor
        if width % factor or height % factor or not width or not height:
            near = [max(1, round(side / factor)) * factor for side in picture.size]
            raise ConfigError(
                f"an image of {width}x{height} pixels would be resized to {near[0]}x{near[1]}: {self.checkpoint.name} "
                f"takes sides that are multiples of {factor}. Set factor={factor} in the profile's overview and regions"
            )
        return replace(picture, tokens=(width // factor) * (height // factor))

    def _guarded(self, turns: list[dict[str, Any]], tools: list[Any]) -> tuple[dict[str, Any], str | None]:
        """Both with a mark inside of every special token that their texts spell, and that mark if there is any."""
        everything = json.dumps([turns, tools], ensure_ascii=False) + self.template
        mark = next(mark for mark in map(chr, range(0xE000, 0xF900)) if mark not in everything)

        def marked(value: Any, tokens: re.Pattern[str]) -> Any:
            return _mapped(value, lambda text: tokens.sub(lambda m: m[0][0] + mark + m[0][1:], text))

        given: dict[str, Any] = {"turns": [], "tools": marked(tools, self._special)}
        for turn in turns:
            own = self._structure if turn["role"] == "assistant" else self._special
            said = {name: marked(turn[name], own) for name in ("content", KEY) if name in turn}
            given["turns"].append(marked(turn, self._special) | said)
        return given, mark if given != {"turns": turns, "tools": tools} else None

    def _ids(self, text: str, mark: str | None) -> list[int]:
        if mark is None:
            return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        ids: list[int] = []
        at = 0
        for match in [*self._special.finditer(text), None]:
            plain = text[at : match.start() if match else None].replace(mark, "")
            if plain:
                ids += self.tokenizer(plain, add_special_tokens=False, split_special_tokens=True, verbose=False)[
                    "input_ids"
                ]
            if match:
                ids.append(self.tokenizer.convert_tokens_to_ids(match[0]))
                at = match.end()
        return ids

    def _with_pictures(self, ids: list[int], pictures: list[PromptImage]) -> TokenPrompt:
        """One placeholder an image becomes as many as the image has tokens."""
        found = ids.count(self.checkpoint.image_token)
        if found != len(pictures):
            raise ConfigError(
                f"the chat template of {self.checkpoint.name} rendered {found} images of {len(pictures)}: images of "
                "this kind of message have no place in it"
            )
        long: list[int] = []
        placed: list[PromptImage] = []
        for token in ids:
            if token == self.checkpoint.image_token:
                picture = pictures[len(placed)]
                placed.append(replace(picture, start=len(long)))
                long += [token] * picture.tokens
            else:
                long.append(token)
        return TokenPrompt(tuple(long), tuple(placed))


def _any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or r"(?!)")


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_mapped(key, change): _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value
