"""Public names are listed once, and load when somebody asks for them."""

from __future__ import annotations

import py_compile
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

PACKAGES = (
    "cof_agent",
    "cof_agent.agent",
    "cof_agent.cli",
    "cof_agent.dialects",
    "cof_agent.evaluation",
    "cof_agent.images",
    "cof_agent.learning.collecting",
    "cof_agent.learning.exports",
    "cof_agent.policies",
)

SOURCE = """
from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from {name}.inner import Thing as Thing
else:
    __getattr__, __dir__ = lazy_names(__name__)
"""


def write(folder: Path, name: str) -> Path:
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text(SOURCE.format(name=name))
    (package / "inner.py").write_text("class Thing: ...\n")
    return package


@pytest.mark.parametrize("package", PACKAGES)
def test_every_listed_name_is_there_and_hides_no_module(package: str) -> None:
    module = import_module(package)
    assert module.__all__ == sorted(set(module.__all__))
    assert module.__all__
    assert set(module.__all__) <= set(dir(module))
    everything: dict[str, object] = {}
    exec(f"from {package} import *", everything)
    assert {*everything} - {"__builtins__"} == set(module.__all__)
    assert all(everything[name] is getattr(module, name) for name in module.__all__)
    assert not {found.name for found in iter_modules(module.__path__)} & set(module.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_name_is(package: str) -> None:
    with pytest.raises(AttributeError, match=f"^module '{package}' has no attribute 'no_such_name'$"):
        _ = import_module(package).no_such_name
    with pytest.raises(ImportError, match="no_such_name"):
        exec(f"from {package} import no_such_name")


def test_a_name_loads_its_module_when_somebody_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "lazily")
    monkeypatch.syspath_prepend(tmp_path)
    package = import_module("lazily")
    assert (package.__all__, "Thing" in dir(package)) == (["Thing"], True)
    assert "lazily.inner" not in sys.modules
    assert package.Thing is import_module("lazily.inner").Thing


def test_names_load_from_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in write(tmp_path, "zipped").iterdir():
            archive.write(file, f"zipped/{file.name}")
    monkeypatch.syspath_prepend(tmp_path / "all.zip")
    assert import_module("zipped").Thing.__name__ == "Thing"


def test_byte_code_without_its_source_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in list(write(tmp_path, "bare").iterdir()):
        py_compile.compile(str(file), cfile=str(file.with_suffix(".pyc")), doraise=True)
        file.unlink()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"^bare lists its public names in its source, .* with its \.py files"):
        _ = import_module("bare").Thing
