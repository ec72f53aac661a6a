"""The visual search agent that makes training data: a policy's runs, the good ones kept. Names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.learning.collecting.collected import CollectedRow, CollectionReport, read_rows
    from cof_agent.learning.collecting.collection import collect

_HOME = {
    "collect": "collection",
    "CollectedRow": "collected",
    "CollectionReport": "collected",
    "read_rows": "collected",
}

__all__ = ["CollectedRow", "CollectionReport", "collect", "read_rows"]


__getattr__ = lazy_names(__name__, _HOME)
