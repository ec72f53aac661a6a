"""Dependencies point one way, modules stay small, and names say what is inside."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cof_agent"

LAYERS = (
    {"errors", "lazy_names", "validation", "geometry", "whole_file", "json_bytes"},
    {
        "image_limits", "image_ref", "source_name", "pixels", "decode_turns", "freed_memory", "fetch", "image_sources",
        "store", "images",
    },
    {"profile", "views", "tools"},
    {
        "config", "deadline", "redaction", "retries", "versions", "state", "transcript", "conversation", "calling",
        "ending", "first_look", "resumption", "review", "step", "trainer_loop", "typed", "dialects", "policies",
        "nodes", "graph",
    },
    {"trajectory", "trajectory_file", "history", "result", "batch", "agent"},
    {"scenes"},
    {"evaluation"},
    {"rewards", "environment", "collecting", "exports"},
    {
        "cli", "cli_options", "cli_terminal", "cli_keep", "cli_evaluation", "cli_scenes", "cli_collect", "cli_export",
        "cli_history", "cli_mcp", "chat", "doctor", "check", "checkpoint_check", "endpoint_check", "checkup",
        "pictures", "integrations",
    },
)  # fmt: skip
"""Bottom up: geometry, images, tools, graph, agent, scenes, evaluation, training data, and what people and
other frameworks touch. Packages as one."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> int:
    top = module.split(".")[1]
    found = [number for number, layer in enumerate(LAYERS) if top in layer]
    assert len(found) == 1, f"{module} needs a place in LAYERS"
    return found[0]


@cache
def imports(path: Path) -> frozenset[str]:
    """Full names of the modules that a file imports, wherever in the file it does."""
    known = {name_of(module) for module in MODULES}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= submodules or {node.module or ""}
    return frozenset(found)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_its_own_layer_and_those_below(path: Path) -> None:
    module = name_of(path)
    for other in imports(path):
        top = other.split(".")[0]
        assert top not in {"graphs", "training", "examples", "tests"}, f"{module} imports {other}"
        if top == "cof_agent" and module != "cof_agent":
            assert layer_of(other) <= layer_of(module), f"{module} imports {other} from above"


def test_no_module_needs_itself() -> None:
    modules = {name_of(path): imports(path) for path in MODULES if path.parent != PACKAGE or path.stem != "__init__"}
    graph = {name: {other for other in others if other in modules} - {name} for name, others in modules.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_holds_one_noun(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= (200 if path.name == "graph.py" else 350), f"{path} has {lines} lines: split it"
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base"}
    assert not vague & {*path.relative_to(ROOT).with_suffix("").parts}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_edges_read_the_environment(path: Path) -> None:
    if name_of(path) != "cof_agent.cli":
        assert "os.environ" not in path.read_text(encoding="utf-8")
        assert "getenv" not in path.read_text(encoding="utf-8")
