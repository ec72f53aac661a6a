"""The visual search agent that makes training data: a policy's runs, the good ones kept. Names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.learning.collecting.collected import CollectedRow as CollectedRow
    from cof_agent.learning.collecting.collected import CollectionReport as CollectionReport
    from cof_agent.learning.collecting.collected import read_rows as read_rows
    from cof_agent.learning.collecting.collection import collect as collect
else:
    __getattr__, __dir__ = lazy_names(__name__)
