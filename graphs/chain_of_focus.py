"""The loop as an assistant: a conversation about images, sent in messages or named under `image`.

`COF_POLICY` names the policy (default: reader), `COF_IMAGES` the directory that keeps what it was shown, `COF_ROOTS`
the directories below which files may be opened (default: anywhere). Context: the limits of a question, and whether a
person is asked before a zoom.
"""

from __future__ import annotations

import os

from cof_agent import DirectoryStore, ImageLimits, load_policy
from cof_agent.images.limits import named_roots
from cof_agent.integrations.assistant import assistant_graph

graph = assistant_graph(
    load_policy(os.environ.get("COF_POLICY", "reader")),
    store=DirectoryStore(os.environ.get("COF_IMAGES", ".langgraph_api/cof_images")),
    limits=ImageLimits(roots=named_roots(os.environ.get("COF_ROOTS"))),
)
