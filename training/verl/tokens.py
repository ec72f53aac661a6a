"""A conversation as the token ids that a policy was shown and has written; no reply is ever tokenized again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from PIL import Image

from cof_agent.errors import ConfigError, PolicyError
from cof_agent.policies.qwen.pictures import PromptImage
from cof_agent.policies.qwen.prompt import PromptWriter
from cof_agent.policies.qwen.reply import decoded


class Tokens:
    """Grows with each turn: what is new is written by the chat template, what was said stays as it came.

    `most_prompt` and `most_response` are how many tokens the first prompt and all that follows it may have, visual
    tokens and observations counted.
    """

    def __init__(self, writer: PromptWriter, most_prompt: int, most_response: int) -> None:
        self.writer, self.most_prompt, self.most_response = writer, most_prompt, most_response
        self.prompt: list[int] = []
        """The first prompt."""
        self.response: list[int] = []
        """What followed it: replies, and observations between them."""
        self.mask: list[int] = []
        """Of each id of the response: 1 if the policy wrote it, 0 if it was shown."""
        self.logprobs: list[float] = []
        """Of each id of the response: natural logarithms; 0 where it was shown, or the server gives none."""
        self.turns = 0
        """Replies."""
        self.images: list[Image.Image] = []
        """What was shown, in order: RGB, each at the size in which it was shown."""
        self.full = False
        """Whether the response had no room for what was to follow; that is not in it."""
        self._known: list[BaseMessage] = []
        self._shown: tuple[list[int], list[Image.Image]] = [], []

    @property
    def room(self) -> int:
        """How many tokens the next reply may have."""
        return self.most_response - len(self.response) - (len(self._shown[0]) if self.turns else 0)

    def show(self, messages: Sequence[BaseMessage]) -> tuple[list[int], list[Image.Image]]:
        """All ids and images for the next reply to `messages`, which go on from those before and the reply to them.

        It counts as shown once `say` is told what was said to it. Raises PolicyError when the conversation so
        far is another one or has no room left, and ConfigError for a first prompt that is too long or an image that
        would be resized.
        """
        written = self.writer.write(messages)
        ids, pictures = list(written.ids), list(written.pictures)
        if self.turns:
            before = len(self._known)
            if [_plain(message) for message in messages[:before]] != [_plain(message) for message in self._known]:
                raise PolicyError(
                    "earlier messages were changed, but tokens that were shown cannot be taken back: raise "
                    "max_conversation_tokens to at least max_visual_tokens"
                )
            start = self._end_of_turn(ids, behind=len(messages) - before) + 1
            ids = [*self._missing_end(), *ids[start:]]
            pictures = [picture for picture in pictures if picture.start >= start]
        elif len(ids) > self.most_prompt:
            raise ConfigError(
                f"the first prompt has {len(ids)} tokens, and max_prompt_length is {self.most_prompt}: raise it, or "
                "lower max_pixels of the profile's overview"
            )
        for picture in pictures:
            self._check(picture)
        self._shown = ids, [picture.pixels() for picture in pictures]
        if self.room < 1:
            self.full = True
            raise PolicyError(f"the response has no room for more: it may have {self.most_response} tokens")
        return [*self.prompt, *self.response, *ids], [*self.images, *self._shown[1]]

    def say(self, messages: Sequence[BaseMessage], ids: Sequence[int], logprobs: Sequence[float] | None) -> str:
        """Keep a reply to the `messages` last shown, as it came. Returns its text.

        What follows an end of turn, or begins with a placeholder of images, is left out: no policy is shown it.
        """
        kept = self._kept(ids)
        shown, images = self._shown
        if self.turns:
            self._add(shown, [0.0] * len(shown), 0)
        else:
            self.prompt = shown
        self._add(kept, list(logprobs or [0.0] * len(ids))[: len(kept)], 1)
        self.images += images
        self.turns += 1
        self._shown = [], []
        checkpoint = self.writer.checkpoint
        text = decoded(self.writer.tokenizer, kept, checkpoint.structure)
        self._known = [*messages, AIMessage(text)]
        return text

    def _add(self, ids: list[int], logprobs: list[float], by_policy: int) -> None:
        self.response += ids
        self.logprobs += logprobs
        self.mask += [by_policy] * len(ids)

    def _kept(self, ids: Sequence[int]) -> list[int]:
        checkpoint = self.writer.checkpoint
        for position, token in enumerate(ids):
            if token in checkpoint.ends:
                return list(ids[: position + 1])
            if token in checkpoint.never:
                return list(ids[:position])
        return list(ids)

    def _missing_end(self) -> list[int]:
        """The end of a turn that was cut off: the next one cannot begin without it."""
        end = self.writer.checkpoint.ends[0]
        return [] if self.response and self.response[-1] == end else [end]

    def _end_of_turn(self, ids: list[int], behind: int) -> int:
        """Position of the end of the turn that `behind` others follow; text cannot spell it."""
        end = self.writer.checkpoint.ends[0]
        ends = [position for position, token in enumerate(ids) if token == end]
        return ends[-behind - 1]

    def _check(self, picture: PromptImage) -> None:
        """Raise ConfigError for an image that server and trainer would resize: its tokens would be others."""
        size = self.writer.checkpoint.processor.image_processor.size
        width, height = picture.size
        least, most = size["shortest_edge"], size["longest_edge"]
        if not least <= width * height <= most:
            raise ConfigError(
                f"an image of {width}x{height} pixels would be resized: {self.writer.checkpoint.name} takes {least} to "
                f"{most} pixels. Set min_pixels and max_pixels of the profile's overview and regions within them"
            )


def _plain(message: BaseMessage) -> tuple[str, Any]:
    return message.type, message.content
