"""Training files from trajectories, and back. Names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.learning.exports.conversation import Conversation, Facts, Malformed, Message, Picture
    from cof_agent.learning.exports.exporting import Export, export
    from cof_agent.learning.exports.prompts import Prompt, import_prompts
    from cof_agent.learning.exports.sharegpt import read_sharegpt
    from cof_agent.learning.exports.trl import import_trl

_HOME = {
    "Conversation": "conversation",
    "Facts": "conversation",
    "Malformed": "conversation",
    "Message": "conversation",
    "Picture": "conversation",
    "Export": "exporting",
    "export": "exporting",
    "Prompt": "prompts",
    "import_prompts": "prompts",
    "read_sharegpt": "sharegpt",
    "import_trl": "trl",
}

__all__ = [
    "Conversation",
    "Export",
    "Facts",
    "Malformed",
    "Message",
    "Picture",
    "Prompt",
    "export",
    "import_prompts",
    "import_trl",
    "read_sharegpt",
]


__getattr__ = lazy_names(__name__, _HOME)
