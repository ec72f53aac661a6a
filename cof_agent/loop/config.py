"""Limits of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cof_agent.errors import ConfigError, validated


class FocusConfig(BaseModel):
    """Limits of one question, unless a field says otherwise. Frozen; pass it as the graph's `context`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_zooms: int = Field(default=6, ge=0)
    """Regions that may be shown (the release evaluates with 6). 0 offers no tools at all."""
    min_zooms: int = Field(default=0, ge=0)
    """Regions that must be shown before an answer is taken; an earlier one is refused. At most `max_zooms`."""
    max_turns: int = Field(default=12, ge=1)
    """Policy turns before the closing one."""
    max_visual_tokens: int = Field(default=16_384, ge=1)
    """Visual tokens of the views made for the question. A region that would exceed it is not shown."""
    max_conversation_tokens: int = Field(default=32_768, ge=1)
    """Visual tokens kept in one conversation: beyond it the oldest regions become a line of text in the prompt."""
    max_refused: int = Field(default=3, ge=1)
    """Refused calls in a row."""
    max_retries: int = Field(default=4, ge=0)
    """Times a policy call is repeated when its endpoint fails in a way that may pass, within `max_seconds`."""
    max_seconds: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    """Wall-clock seconds, whether spent in the policy or in the tools."""
    closing_share: float = Field(default=0.2, ge=0, lt=1)
    """Share of `max_seconds` kept back for the closing turn."""
    trainer_loop: bool = False
    """End as TRL's trainer does (dialect `cof`): a turn that cannot be read, an answer before `min_zooms`, and calls in
    the last of `max_turns` end the run, where otherwise the policy is told what is wrong or asked for a last answer."""
    ask_before_zoom: bool = False
    """A person is asked before a region is shown. Needs a checkpointer; the time they take is not counted."""
    ask_at_end: bool = False
    """A person is asked before a run ends without an answer, the policy's failures apart. Needs a checkpointer."""

    @model_validator(mode="after")
    def _check(self) -> FocusConfig:
        if self.min_zooms > self.max_zooms:
            raise ValueError(f"min_zooms may be at most max_zooms ({self.max_zooms}), not {self.min_zooms}")
        return self

    @property
    def working_seconds(self) -> float:
        """`max_seconds` without what is kept back for the closing turn."""
        return self.max_seconds * (1 - self.closing_share)

    @property
    def asks(self) -> bool:
        """Whether a person may be asked."""
        return self.ask_before_zoom or self.ask_at_end

    def check_asks_nobody(self, who: str) -> None:
        """Raise ConfigError where a person may be asked, for `who` ("a batch") cannot wait for one."""
        if self.asks:
            raise ConfigError(f"{who} asks nobody: leave ask_before_zoom and ask_at_end false")

    def with_extra_rounds(self, times: int) -> FocusConfig:
        """These limits after a person has granted them `times` times more."""
        names = ("max_zooms", "max_turns", "max_visual_tokens", "max_seconds")
        return self.model_copy(update={name: getattr(self, name) * (1 + times) for name in names}) if times else self

    @classmethod
    def parse(cls, value: FocusConfig | Mapping[str, Any] | None) -> FocusConfig:
        """Limits from their names and values; None is the default. Raises ConfigError that names the field."""
        return value if isinstance(value, FocusConfig) else validated(cls, value or {}, "the configuration")
