"""The tools that a policy looks closer with: names, arguments, descriptions. `loop.looking` carries them out."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError
from cof_agent.images.geometry import CoordinateSpace

ZOOM = "image_zoom_in_tool"
CROP = "image_crop_tool"

_UNITS = {
    CoordinateSpace.VIEW_PIXELS: "pixels of that image as shown",
    CoordinateSpace.UNIT: "fractions of its width and height, 0 to 1",
    CoordinateSpace.THOUSANDTHS_YX: "thousandths of its height and width, 0 to 1000, y before x: [y1, x1, y2, x2]",
    CoordinateSpace.UNIT_OR_PIXELS: "fractions of its width and height, 0 to 1, or pixels of that image as shown",
    CoordinateSpace.THOUSANDTHS: "thousandths of its width and height, 0 to 1000",
}


def _unquoted(value: Any) -> Any:
    """A list that arrived as its JSON text, as a list."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


Coordinates = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False)]],
    BeforeValidator(_unquoted),
    Field(min_length=4, max_length=4, description="[x1, y1, x2, y2] of the region: left, top, right, bottom"),
]


class ZoomArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bbox_2d: Coordinates
    label: str | None = Field(default=None, description="what you expect to see there")


class ZoomAnyArguments(ZoomArguments):
    view: int = Field(default=0, description="the image to look at: 0 is the first image, 1 the first region, …")


class CropArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bbox_2d: Coordinates
    view: int = Field(default=0, description="the image to cut from: 0 is the first image, 1 the first region, …")


_DESCRIPTIONS = {
    ZoomArguments: (
        "Look closer at a region of the first image. It comes back enlarged, in full detail, with some margin."
    ),
    ZoomAnyArguments: "Look closer at a region of any image shown so far. It comes back enlarged, in full detail.",
    CropArguments: "Cut exactly this region out of any image shown so far. It comes back enlarged, in full detail.",
}
"""What a policy reads of each tool."""


@lru_cache(maxsize=64)
def image_tools(profile: Profile) -> tuple[BaseTool, ...]:
    """The tools that `profile` offers, described as LangChain tools, to be bound to a chat model."""
    arguments: dict[str, type[BaseModel]] = {
        ZOOM: ZoomAnyArguments if profile.any_view else ZoomArguments,
        CROP: CropArguments,
    }
    unit = f" Coordinates are {_UNITS[profile.coordinates]}, origin top-left."
    return tuple(
        StructuredTool.from_function(
            _described,
            name=name,
            description=_DESCRIPTIONS[arguments[name]] + unit,
            args_schema=_in_order(arguments[name], profile.coordinates),
            response_format="content_and_artifact",
        )
        for name in profile.tools
    )


def _in_order(arguments: type[BaseModel], coordinates: CoordinateSpace) -> type[BaseModel]:
    """The arguments, with the box described in the order of its numbers."""
    if coordinates is not CoordinateSpace.THOUSANDTHS_YX:
        return arguments
    box = (Coordinates, Field(description=f"{coordinates.names} of the region: top, left, bottom, right"))
    return create_model(arguments.__name__, __base__=arguments, bbox_2d=box)


def _described(**arguments: Any) -> Any:
    raise ConfigError("these tools were made to be described, not run: use looking_tools of a LookContext")
