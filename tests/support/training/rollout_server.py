"""A stand-in for verl's rollout server: it says what is in its script, and keeps what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image


@dataclass(frozen=True, slots=True)
class Said:
    """One turn, in the form of verl's `TokenOutput`."""

    token_ids: list[int]
    log_probs: list[float] | None
    stop_reason: str | None = "completed"
    num_preempted: int | None = None
    extra_fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """One call."""

    request_id: str
    prompt_ids: list[int]
    sampling_params: dict[str, Any]
    images: list[Image.Image]


class ScriptedServer:
    """Plays one script: texts, whose ids are those of the tokenizer with the end of turn, or ids; or what it raises."""

    def __init__(self, tokenizer: Any, script: Sequence[str | list[int] | Said | Exception]) -> None:
        self.tokenizer, self.script = tokenizer, list(script)
        self.given: list[Given] = []
        self.said: list[Said] = []

    async def generate(
        self,
        request_id: str,
        *,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        image_data: list[Image.Image] | None = None,
    ) -> Any:
        self.given.append(Given(request_id, list(prompt_ids), dict(sampling_params), list(image_data or [])))
        await asyncio.sleep(0)  # others get their turn, as they do while a real server writes
        turn = self.script[len(self.said)]
        if isinstance(turn, Exception):
            raise turn
        if not isinstance(turn, Said):
            ids = self.tokenizer(f"{turn}<|im_end|>")["input_ids"] if isinstance(turn, str) else list(turn)
            ids = ids[: sampling_params["max_tokens"]]
            # Each number is another, so that none can stand in another's place unnoticed.
            logprobs = [-1.0 - len(self.said) - position / 1024 for position in range(len(ids))]
            turn = Said(ids, logprobs if sampling_params.get("logprobs") else None)
        self.said.append(turn)
        return turn
