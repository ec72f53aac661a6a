"""Dependencies point one way, modules stay small, and names say what is inside."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cof_agent"

FLOORS = (
    {"errors", "lazy_names"},
    {"files", "images"},
    {"dialects"},
    {"policies"},
    {"loop", "scenes"},
    {"agent"},
    {"evaluation", "integrations"},
    {"learning"},
    {"cli"},
)
"""The rooms, bottom up: a module may import its own floor and those below."""

INSIDE = {
    "images": (
        {"box"},
        {"codecs.exif", "codecs.flattening", "display_name", "geometry", "named_file"},
        {"codecs.orientation", "codecs.tiff_directories"},
        {"codecs.stated_size", "codecs.tiff_pages", "receiving.regular_file", "rendering.heap"},
        {"rendering.self_limits", "time_limit"},
        {"codecs.formats", "codecs.jpeg_segments", "codecs.png_chunks", "limits", "reference"},
        {"receiving.referenced_file", "receiving.slide_files", "given_source", "region_source", "view_encoding"},
        {"receiving.page_name", "source_image", "source_kinds"},
        {"rendering.large_file", "rendering.pdf_worker", "rendering.slide_worker"},
        {"rendering.large_worker"},
        {"rendering.region_worker"},
        {"codecs.headers", "codecs.loading", "receiving.connection", "receiving.data_url", "store"},
        {"codecs.decoding"},
        {"receiving.content_coding", "rendering.decode_queue", "rendering.decode_worker"},
        {"receiving.fetch", "receiving.object_storage", "rendering.limited_process"},
        {"receiving.source_bytes", "rendering.apart", "rendering.region_process"},
        {"rendering.whole"},
        {"opening"},
        {"codecs.metadata", "views"},
    ),
    "loop": (
        {"answer_schema", "config", "looking", "pregel", "state", "transcript"},
        {"call", "ending", "overview", "prompt", "run_info", "trainer_loop"},
        {"page_text", "reply", "review"},
        {"failing", "resumption"},
        {"nodes"},
        {"wiring"},
        {"graph"},
    ),
}
"""The order inside of the two rooms that an image and a question pass through: a module imports only from below."""

ENVIRONMENT = "cof_agent.policies.environment"
"""Reads it for the edges, which are the two modules that call its `read`; typer reads it for the command line."""

LINES = 300
"""Of one module, at most."""

VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def floor_of(module: str) -> int:
    room = module.split(".")[1]
    found = [number for number, floor in enumerate(FLOORS) if room in floor]
    assert len(found) == 1, f"{module} needs a place in FLOORS"
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


def test_a_module_imports_only_its_own_floor_and_those_below() -> None:
    offenders = []
    for path in MODULES:
        module = name_of(path)
        for other in imports(path):
            top = other.split(".")[0]
            upward = top == "cof_agent" and module != "cof_agent" and floor_of(other) > floor_of(module)
            if upward or top in {"graphs", "training", "examples", "tests"}:
                offenders.append(f"{module} imports {other}")
        offenders += [f"{module} imports {other}, which is not below it" for other in upward_inside(module, path)]
    assert not offenders


def upward_inside(module: str, path: Path) -> list[str]:
    """What a module of an ordered room imports from its own place in that order, or above."""
    _, _, inside = module.partition(".")
    room, _, name = inside.partition(".")
    if room not in INSIDE or not name or path.name == "__init__.py":
        return []
    order = {each: number for number, floor in enumerate(INSIDE[room]) for each in floor}
    assert name in order, f"{module} needs a place in INSIDE"
    prefix = f"cof_agent.{room}."
    within = [other for other in imports(path) if other.startswith(prefix)]
    return [other for other in within if order[other.removeprefix(prefix)] >= order[name]]


def test_no_module_needs_itself() -> None:
    modules = {name_of(path): imports(path) for path in MODULES if path.parent != PACKAGE or path.stem != "__init__"}
    graph = {name: {other for other in others if other in modules} - {name} for name, others in modules.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)


def test_a_module_holds_one_noun_and_its_name_says_which() -> None:
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in MODULES}
    assert not [f"{path} has {lines} lines: split it" for path, lines in lengths.items() if lines > LINES]
    assert not [str(path) for path in MODULES if VAGUE & {*path.relative_to(ROOT).with_suffix("").parts}]
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(name_of(path))
    assert not {name: modules for name, modules in homes.items() if len(modules) > 1}, "one class name, one meaning"


def test_only_the_edges_read_the_environment() -> None:
    direct = {"environ", "environb", "getenv", "getenvb", "from_env", "secret_from_env", "get_from_dict_or_env"}
    assert [name_of(path) for path in MODULES if direct & names_in(path)] == [ENVIRONMENT]
    readers = [name_of(path) for path in MODULES if "EndpointEnvironment.read" in names_in(path)]
    assert readers == ["cof_agent.cli.doctor", "cof_agent.policies.loading"]
    assert all(name_of(path).startswith("cof_agent.cli.") for path in MODULES if "envvar" in names_in(path))


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names, attributes, keywords and imported names in a file's code; an attribute of a name also with it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Name():
                found.add(node.id)
            case ast.Attribute():
                found |= {node.attr, f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else node.attr}
            case ast.alias():
                found.add(node.name.rpartition(".")[2])
            case ast.keyword() if node.arg:
                found.add(node.arg)
    return frozenset(found)
