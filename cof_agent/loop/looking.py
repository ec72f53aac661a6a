"""Tool calls carried out: which region is shown, and the one place that words what the policy did wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from langchain_core.messages import ToolCall, ToolMessage
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ValidationError

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.tools import IMAGE, VIEW, ZOOM, image_tools
from cof_agent.errors import ConfigError, ToolError
from cof_agent.images.geometry import Box, RegionRule, Size, to_original, to_view
from cof_agent.images.source_image import SourceImage
from cof_agent.images.store import ImageStore
from cof_agent.images.views import RegionPixels, View, ViewKind, cut_region, show_region

CHOSEN = "chosen by a person"
"""Label of a view that shows what a reviewer chose instead of what the policy asked for."""


class TokensSpentError(ToolError):
    """A call that was in order, but whose region would exceed the visual tokens left."""


@dataclass(frozen=True, slots=True)
class PlannedRegion:
    """A region that is about to be shown."""

    kind: ViewKind
    label: str | None
    """What the policy expects to see there."""
    box: Box
    """What was asked for, in original upright pixels."""
    region: Box
    """What will be shown: the box as the profile's rule has it."""
    shown: Size
    """At which size, in pixels."""
    tokens: int
    """Visual tokens it costs."""
    image_index: int = 0
    """Which of the question's images it is in."""


Review: TypeAlias = Callable[[PlannedRegion, str | None], Box | str | None]
"""Asked before a region is shown. Replies None to go on, with a box to look at instead (pixels of the same image), or
with why nothing is to be shown. Told what was wrong with the box it named before, if it did."""


@dataclass(frozen=True, slots=True)
class LookContext:
    """What a tool call can look at."""

    source: Callable[[int], SourceImage]
    """Opens the original of an image, by the image's index."""
    views: Sequence[View]
    """Those of the conversation: the overview of each image first."""
    store: ImageStore
    profile: Profile
    tokens_left: int
    """Visual tokens that a new region may cost."""
    region_pixels: RegionPixels = cut_region
    """Where the pixels of a region come from."""
    review: Review | None = None
    """Who is asked before a region is shown."""

    def valid(self, base: object) -> str:
        """Which boxes view number `base` has room for, in the profile's coordinate space."""
        view = self.views[base if isinstance(base, int) and 0 <= base < self.nameable else 0]
        x, y = self.profile.coordinates.extent(view.shown)
        return f"it needs 0 <= x1 < x2 <= {x:g} and 0 <= y1 < y2 <= {y:g}"

    @property
    def images(self) -> int:
        """How many images there are to look at."""
        return sum(view.is_overview for view in self.views)

    @property
    def numbers(self) -> str:
        """The numbers that a view may be named by."""
        return f"the views are numbered 0 to {self.nameable - 1}"

    @property
    def nameable(self) -> int:
        """How many views a call may name, counted from the first."""
        return len(self.views) if self.profile.counted == "views" else self.images

    @property
    def image_numbers(self) -> str:
        """The numbers that an image may be named by."""
        return f"the images are numbered 0 to {self.images - 1}"

    def look(self, bbox_2d: Sequence[float], rule: RegionRule, kind: ViewKind, base: int, label: str | None) -> View:
        """Make the view of a box in view number `base`, in the profile's coordinate space.

        Raises ToolError when the policy can mend the call, TokensSpentError when the region costs too much.
        """
        wanted = self._wanted(bbox_2d, rule, kind, base, label)
        if self.review is not None:
            wanted = self._reviewed(wanted, rule, self.review)
        at = wanted.image_index
        return show_region(
            self.region_pixels(self.source(at), wanted.region, wanted.shown, self.views[at]),
            wanted.region, wanted.tokens, self.store,
            index=len(self.views), kind=kind, label=wanted.label, encoding=self.profile.encoding, image_index=at,
        )  # fmt: skip

    def _wanted(
        self, bbox_2d: Sequence[float], rule: RegionRule, kind: ViewKind, base: int, label: str | None
    ) -> PlannedRegion:
        if not 0 <= base < self.nameable:
            raise ToolError(f"there is no view {base}: {self.numbers}")
        view = self.views[base]
        x1, y1, x2, y2 = self.profile.coordinates.to_view(bbox_2d, view.shown)
        width, height = view.shown
        if rule.clip:
            x1, y1, x2, y2 = max(0.0, x1), max(0.0, y1), min(float(width), x2), min(float(height), y2)
        written = "[" + ", ".join(f"{number:g}" for number in bbox_2d) + "]"
        valid = self.valid(base)
        if not (x1 < x2 and y1 < y2):
            raise ToolError(f"the box {written} is empty: {valid}")
        if not (0 <= x1 < width and 0 <= y1 < height and x2 <= width and y2 <= height):
            raise ToolError(f"the box {written} reaches outside the image: {valid}")
        try:
            region, shown = rule.region((x1, y1, x2, y2), view.shown, view.box, self.profile.regions)
        except ConfigError as error:
            raise ToolError(f"the box {written} cannot be shown: {error}; {valid}, and not that thin") from error
        tokens = self.profile.regions.tokens(shown)
        if tokens > self.tokens_left:
            raise TokensSpentError(f"the region would cost {tokens} visual tokens and {self.tokens_left} are left")
        box = to_original((x1, y1, x2, y2), view.shown, view.box)
        return PlannedRegion(kind, label, box, region, shown, tokens, view.image_index)

    def _reviewed(self, wanted: PlannedRegion, rule: RegionRule, review: Review) -> PlannedRegion:
        """What the reviewer has shown: asked again while the box it names instead cannot be."""
        overview, problem = self.views[wanted.image_index], None
        while other := review(wanted, problem):
            if isinstance(other, str):
                raise ToolError(f"a person says: {other}")
            if not overview.box.contains(other):
                whole = "{}x{}".format(*overview.box.size)
                problem = f"the box {other.as_list()} reaches outside the image of {whole} pixels: name another one"
                continue
            corners = self.profile.coordinates.from_view(to_view(other, overview.shown, overview.box), overview.shown)
            try:
                return self._wanted(corners, rule, wanted.kind, overview.index, CHOSEN)
            except ToolError as error:
                problem = f"the box {other.as_list()} cannot be shown ({error}): name another one"
        return wanted


def looking_tools(context: LookContext) -> list[BaseTool]:
    """The tools that the profile offers, ready to run.

    Their content is the region's text and image reference, the artifact its `View` as JSON.
    """
    tools = image_tools(context.profile, context.images)
    return [tool.model_copy(update={"func": partial(_look, context, tool.name)}) for tool in tools]


def run_call(call: ToolCall, context: LookContext) -> ToolMessage:
    """Run one tool call. What the policy can mend comes back as a message of status `error`.

    Raises TokensSpentError when the region would cost more than is left; anything else that is raised is a bug here.
    """
    tools = {tool.name: tool for tool in looking_tools(context)}
    try:
        tool = tools.get(call["name"])
        if tool is None:
            use = f"use {' or '.join(tools)}" if tools else "no tool can be called"
            raise ToolError(f"there is no tool named {call['name'][:80]!r}: {use}")
        message: ToolMessage = tool.invoke(call)
        return message
    except TokensSpentError:
        raise
    except ToolError as error:
        return refusal(call["id"], call["name"], str(error))
    except ValidationError as error:
        return refusal(call["id"], call["name"], _worded(error, tools[call["name"]], call["args"], context))


def refusal(call_id: str | None, name: str | None, why: str) -> ToolMessage:
    """The observation that follows a refused call."""
    return ToolMessage(f"That call was refused: {why}.", tool_call_id=call_id or "", name=name, status="error")


def _look(
    context: LookContext, tool: str, bbox_2d: Sequence[float], label: str | None = None, **named: int
) -> tuple[list[Any], dict[str, Any]]:
    base = _base(context, named)
    if tool == ZOOM:
        shown = context.look(bbox_2d, context.profile.zoom, "zoom", base, label)
    else:
        shown = context.look(bbox_2d, context.profile.crop, "crop", base, None)
    which = f" of image {shown.image_index}" if context.images > 1 else ""
    what = f"View {shown.index}{which}" + (f": {shown.label}" if shown.label else "")
    return [shown.block, {"type": "text", "text": what}], shown.to_json()


def _base(context: LookContext, named: Mapping[str, Any]) -> int:
    """The number of the view that the arguments of a call name: an overview's is its image's."""
    if IMAGE not in named:
        return int(named.get(VIEW, 0))
    if not 0 <= named[IMAGE] < context.images:
        raise ToolError(f"there is no image {named[IMAGE]}: {context.image_numbers}")
    return int(named[IMAGE])


def _worded(error: ValidationError, tool: BaseTool, arguments: Mapping[str, Any], context: LookContext) -> str:
    """What is wrong with the arguments of a call."""
    schema = tool.args_schema
    if not (isinstance(schema, type) and issubclass(schema, BaseModel) and error.title == schema.__name__):
        raise error  # of something else than the arguments
    first = error.errors()[0]
    name, given = str(first["loc"][0]), f"not {first['input']!r}"
    given = "and it is missing" if first["type"] == "missing" else given[:80]
    if first["type"] == "extra_forbidden":
        return f"{tool.name} has no argument {name[:80]!r}: use {' and '.join(schema.model_fields)}"
    if name == "bbox_2d":
        valid = context.valid(arguments.get(VIEW, arguments.get(IMAGE)))
        return f"bbox_2d must be four finite numbers {context.profile.coordinates.names}, {given}; {valid}"
    if name in (VIEW, IMAGE):
        numbers = context.numbers if name == VIEW else context.image_numbers
        return f"{name} must be a whole number, {given}; {numbers}"
    return f"{name} must be text, {given}"
