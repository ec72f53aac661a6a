"""Values checked by pydantic, with errors in our own words."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cof_agent.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], value: object, where: str) -> Model:
    """`value` as a `model`. Raises ConfigError that names `where` it stood and the field that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole"
        raise ConfigError(f"{where} is not valid at {field}: {first['msg']} (given: {first['input']!r:.80})") from error
