"""Public names of a package: listed once, loaded on first use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any


def lazy_names(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package whose public names are imported under `if TYPE_CHECKING:`.

    Each is imported as itself (`from cof_agent.errors import CofError as CofError`), so type checkers take it for a
    name of the package. The program reads the same lines in the package's source, and imports a name when somebody
    asks for it. `__all__` has the names in order. Raises AttributeError for any other name, and ImportError, on first
    use, for a package that is there without its source.
    """

    @cache
    def homes() -> dict[str, str]:
        return _listed(package)

    def load(name: str) -> Any:
        if name == "__all__":
            return sorted(homes())
        if name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes()[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes()})

    return load, names


def _listed(package: str) -> dict[str, str]:
    """The module of each public name, as the package's source lists them."""
    import ast  # here, for the import of a package needs none

    loader: Any = getattr(sys.modules[package].__spec__, "loader", None)
    source = loader.get_source(package) if hasattr(loader, "get_source") else None
    if source is None:
        raise ImportError(
            f"{package} lists its public names in its source, which is not there: install it with its .py files, not "
            "as byte code alone"
        )
    return {
        alias.name: node.module or ""
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
