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

VIEW = "view"
"""Argument that names any image shown so far, by the number of its view."""
IMAGE = "image"
"""Argument that names one of a question's images, where it has several."""

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


class ZoomImageArguments(ZoomArguments):
    image: int = Field(description="the image to look at: 0 is the first, 1 the second, …")


class ZoomAnyOfSeveralArguments(ZoomArguments):
    view: int = Field(description="the image to look at: 0 is the first, 1 the second, …; the regions shown follow")


class CropOfSeveralArguments(CropArguments):
    view: int = Field(description="the image to cut from: 0 is the first, 1 the second, …; the regions shown follow")


_ANY = {"views": "any image shown so far", "images": "any image of the question"}
"""What may be looked at, by what the number of an image counts."""
_ZOOM_ANY = "Look closer at a region of {any}. It comes back enlarged, in full detail."
_CROP = "Cut exactly this region out of {any}. It comes back enlarged, in full detail."
_DESCRIPTIONS = {
    ZoomArguments: (
        "Look closer at a region of the first image. It comes back enlarged, in full detail, with some margin."
    ),
    ZoomImageArguments: (
        "Look closer at a region of one of the images. It comes back enlarged, in full detail, with some margin."
    ),
    ZoomAnyArguments: _ZOOM_ANY,
    ZoomAnyOfSeveralArguments: _ZOOM_ANY,
    CropArguments: _CROP,
    CropOfSeveralArguments: _CROP,
}
"""What a policy reads of each tool."""


@lru_cache(maxsize=64)
def image_tools(profile: Profile, images: int = 1) -> tuple[BaseTool, ...]:
    """The tools that `profile` offers, described as LangChain tools, to be bound to a chat model.

    Of several `images` each call must name the one that it looks at.
    """
    arguments: dict[str, type[BaseModel]] = {
        ZOOM: ZoomAnyArguments if profile.any_view else ZoomArguments,
        CROP: CropArguments,
    }
    if images > 1:
        arguments = {
            ZOOM: ZoomAnyOfSeveralArguments if profile.any_view else ZoomImageArguments,
            CROP: CropOfSeveralArguments,
        }
    unit = f" Coordinates are {_UNITS[profile.coordinates]}, origin top-left."
    return tuple(
        StructuredTool.from_function(
            _described,
            name=name,
            description=_DESCRIPTIONS[arguments[name]].format(any=_ANY[profile.counted]) + unit,
            args_schema=_in_order(_counting(arguments[name], profile.counted, images), profile.coordinates),
            response_format="content_and_artifact",
        )
        for name in profile.tools
    )


def _counting(arguments: type[BaseModel], counted: str, images: int) -> type[BaseModel]:
    """The arguments, with `view` described as what counts the images of the question alone, where it does."""
    if counted == "views" or VIEW not in arguments.model_fields:
        return arguments
    told = "the image of the question to look at: 0 is the first, 1 the second, …; the regions shown have no number"
    view = Field(description=told) if images > 1 else Field(default=0, description=told)
    return create_model(arguments.__name__, __base__=arguments, view=(int, view))


def _in_order(arguments: type[BaseModel], coordinates: CoordinateSpace) -> type[BaseModel]:
    """The arguments, with the box described in the order of its numbers."""
    if coordinates is not CoordinateSpace.THOUSANDTHS_YX:
        return arguments
    box = (Coordinates, Field(description=f"{coordinates.names} of the region: top, left, bottom, right"))
    return create_model(arguments.__name__, __base__=arguments, bbox_2d=box)


def _described(**arguments: Any) -> Any:
    raise ConfigError("these tools were made to be described, not run: use looking_tools of a LookContext")
