"""The loop as a deployable graph. `COF_POLICY` names the policy (default: reader)."""

from __future__ import annotations

import os

from cof_agent import build_graph, load_policy

graph = build_graph(load_policy(os.environ.get("COF_POLICY", "reader")))
