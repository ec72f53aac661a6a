"""The form of every value that is kept as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value that is JSON, with no fields but its own. An alias is its field's name in JSON."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True, serialize_by_alias=True
    )
