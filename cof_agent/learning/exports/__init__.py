"""Training files from trajectories, and back. Names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.learning.exports.conversation import Conversation as Conversation
    from cof_agent.learning.exports.conversation import Facts as Facts
    from cof_agent.learning.exports.conversation import Malformed as Malformed
    from cof_agent.learning.exports.conversation import Message as Message
    from cof_agent.learning.exports.conversation import Picture as Picture
    from cof_agent.learning.exports.exporting import Export as Export
    from cof_agent.learning.exports.exporting import export as export
    from cof_agent.learning.exports.prompts import Prompt as Prompt
    from cof_agent.learning.exports.prompts import import_prompts as import_prompts
    from cof_agent.learning.exports.sharegpt import read_sharegpt as read_sharegpt
    from cof_agent.learning.exports.trl import import_trl as import_trl
else:
    __getattr__, __dir__ = lazy_names(__name__)
