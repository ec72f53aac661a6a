"""The graphs that `langgraph.json` registers, loaded as a LangGraph server loads them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "langgraph.json"


def deployed(name: str) -> Any:
    """A graph, made anew under the environment as it is."""
    file, _, variable = json.loads(CONFIG.read_text())["graphs"][name].partition(":")
    spec = importlib.util.spec_from_file_location(f"deployed_{name}", ROOT / file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, variable)
