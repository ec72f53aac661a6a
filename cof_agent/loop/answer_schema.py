"""Answers as values of a Pydantic model."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, PydanticUserError, ValidationError

from cof_agent.dialects.declining import decline_of
from cof_agent.errors import ConfigError

Answer = TypeVar("Answer", bound=BaseModel)

ANSWER_MODEL = "answer_model"
"""Key of a run's `configurable`: the Pydantic model that the answer must be a JSON object of."""

_MOST_ERRORS = 5
"""Errors of one answer that are told."""

_FENCE = "```"
_LANGUAGE = re.compile(r"\w*")


def answer_model(config: RunnableConfig) -> type[BaseModel] | None:
    """The model that a run's answer must fit, if any. Raises ConfigError for anything but a Pydantic model."""
    model = config.get("configurable", {}).get(ANSWER_MODEL)
    if model is None:
        return None
    if not (isinstance(model, type) and issubclass(model, BaseModel)) or model is BaseModel:
        raise ConfigError(f"a schema is a class derived from pydantic.BaseModel, not {model!r}")
    return model


def schema_text(model: type[BaseModel]) -> str:
    """The JSON schema of `model`, on one line. Raises ConfigError for a model that JSON cannot describe."""
    try:
        return json.dumps(model.model_json_schema(), ensure_ascii=False)
    except PydanticUserError as error:
        why = str(error).splitlines()[0]
        raise ConfigError(f"the schema {model.__name__} cannot be told to a policy as JSON: {why}") from error


def parse_answer(model: type[Answer], answer: str) -> Answer:
    """`answer`, JSON with or without a code fence, as a value of `model`. Raises ValidationError if it is none."""
    text = answer.strip()
    if text.startswith(_FENCE):
        text = _LANGUAGE.sub("", text.removeprefix(_FENCE), count=1)
    return model.model_validate_json(text.removesuffix(_FENCE).strip())


def schema_error(model: type[BaseModel], answer: str) -> str | None:
    """What keeps `answer` from being a value of `model`, in words for the policy; None if it is one, or a decline.

    What a validator of the model raises otherwise counts as a misfit too.
    """
    if decline_of(answer) is not None:
        return None
    try:
        parse_answer(model, answer)
    except ValidationError as error:
        return "; ".join(_worded(item) for item in error.errors(include_url=False)[:_MOST_ERRORS])
    except Exception as error:  # validators are the caller's own code, and the answer made them fail
        return f"{type(error).__name__}: {error}"
    return None


def _worded(item: Any) -> str:
    where = ".".join(map(str, item["loc"]))
    return f"{where}: {item['msg']}" if where else str(item["msg"])
