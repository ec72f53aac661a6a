"""What the tools of the MCP server are called with, as clients and their models are told of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from cof_agent.dialects.tools import Coordinates
from cof_agent.integrations.wording import PATH_SCHEMA, PATHS_SCHEMA, QUESTION, listed

_IMAGE = "the image: a path, or a file:, http(s): or data: URL"
_IMAGES = f"{_IMAGE}; or a list of them, where the question is about several images together"


def _images(value: Any) -> str | list[str]:
    value = listed(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return list(value)
    if isinstance(value, list):
        raise PydanticCustomError("image_list", "Input should be a list of strings that is not empty")
    if not isinstance(value, str):
        raise PydanticCustomError("image_name", "Input should be a valid string")
    return value


# Models without docstrings, which clients would be told of.


class LookCall(BaseModel):  # takes a list too: the loop says why the policy cannot look at several
    model_config = ConfigDict(extra="forbid")

    image: Annotated[str | list[str], PlainValidator(_images), WithJsonSchema(PATH_SCHEMA)] = Field(description=_IMAGE)
    question: str = Field(min_length=1, max_length=20_000, description=QUESTION)


class LookAtSeveralCall(LookCall):  # as clients are told of it where a question may be about several images
    image: Annotated[str | list[str], PlainValidator(_images), WithJsonSchema(PATHS_SCHEMA)] = Field(
        description=_IMAGES
    )


class ZoomCall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image: str = Field(description=_IMAGE)
    box: Coordinates
