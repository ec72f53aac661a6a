"""What a policy was made for: its dialect, tools, coordinates, sizes and prompts."""

from __future__ import annotations

import hashlib
import json
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from cof_agent.errors import validated
from cof_agent.images.geometry import CoordinateSpace, RegionRule, SizeRule
from cof_agent.images.opening import ViewEncoding

ToolName: TypeAlias = Literal["image_zoom_in_tool", "image_crop_tool"]

DECLINE = "cannot answer"
"""An answer that starts with these words (any case) is a refusal to guess; what follows is the reason."""


class Prompts(BaseModel):
    """The words around a conversation. A checkpoint answers best with those it was trained with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str = (
        "You answer questions about an image. Think first, inside <think></think>. "
        "When something that matters is too small or unclear to be sure of, look closer with a tool before you "
        "answer; when the first look is enough, answer at once. "
        "Every turn ends either with tool calls or with the final answer inside <answer></answer>, never with both. "
        f"If the image cannot tell, write <answer>{DECLINE}: the reason</answer>."
    )
    """Opens the system turn."""
    direct: str = (
        "You answer questions about an image. Think first, inside <think></think>, then give the final answer inside "
        f"<answer></answer>. If the image cannot tell, write <answer>{DECLINE}: the reason</answer>."
    )
    """Opens the system turn when no tool is offered."""
    reminder: str = (
        "Think inside <think></think>, then either look closer with a tool or give the final answer inside "
        "<answer></answer>."
    )
    """Follows each region or, as the dialect has it, the question; may be empty."""
    format_error: str = (
        "That turn had neither a tool call nor an answer. Think inside <think></think>, then write the final answer "
        "inside <answer></answer>, or a tool call if there are tools."
    )
    """Follows a turn in which nothing could be read."""
    look_first: str = "That answer came too early. Look closer at the region that matters with a tool, then answer."
    """Follows an answer given before as many regions were shown as `FocusConfig.min_zooms` asks for."""
    closing: str = (
        "No more regions can be shown. Give your best final answer now, inside <answer></answer>, without a tool call."
    )
    """Asks for the last answer when a limit is reached."""
    typed: str = "Give the answer as one JSON object, without anything around it, that fits this JSON schema:"
    """Follows a question whose answer must fit a schema, and precedes that schema."""
    misfit: str = (
        "That answer does not fit the JSON schema. Give it once more, inside <answer></answer>. What is wrong:"
    )
    """Follows an answer that does not fit, and precedes what is wrong."""

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of these prompts; results record it."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()[:16]


class Profile(BaseModel):
    """How a policy is spoken to. A checkpoint directory may carry one as `focus.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dialect: str = "cof"
    """How thoughts, calls and answers are written: a name from `cof_agent.dialects`."""
    tools: tuple[ToolName, ...] = ("image_zoom_in_tool",)
    """The tools offered. Chain-of-Focus checkpoints were trained with zoom alone."""
    coordinates: CoordinateSpace = CoordinateSpace.VIEW_PIXELS
    """The unit of the coordinates that the policy writes."""
    overview: SizeRule = SizeRule()
    """Shown size of the whole image."""
    regions: SizeRule = SizeRule()
    """Shown size of regions."""
    zoom: RegionRule = RegionRule()
    """How `image_zoom_in_tool` turns a box into a region."""
    crop: RegionRule = RegionRule(margin=1.0)
    """How `image_crop_tool` does: exactly the box."""
    any_view: bool = False
    """`image_zoom_in_tool` takes `view`, the number of any image shown so far; else it always looks at the first."""
    counted: Literal["views", "images"] = "views"
    """What the number counts that names an image: all views, or the images of the question alone (with `any_view`)."""
    several_images: bool = False
    """A question may have several images: `image_zoom_in_tool` then takes `image`, the number of the one to look at.

    For policies of the dialect `cof` that were made for it. Published Chain-of-Focus checkpoints were not. Dialects
    whose calls name images anyway need no such word."""
    stop_after_call: bool = False
    """A turn ends with its first call; otherwise it may hold several."""
    tool_images: bool = False
    """The endpoint takes images in tool messages (dialect `native`); otherwise a user message follows with them."""
    encoding: ViewEncoding = ViewEncoding()
    """How views are encoded: kept and sent as the same bytes."""
    prompts: Prompts = Field(default_factory=Prompts)

    @classmethod
    def parse(cls, value: object, where: str) -> Profile:
        """A profile from the JSON value of all that differs from the dialect `cof`; see `dialects.parse_profile`.

        Raises ConfigError that names `where` it stood and the field.
        """
        return validated(cls, value, where)
