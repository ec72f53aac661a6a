"""The architecture page names what is there."""

from __future__ import annotations

import re

from tests.support.pages import ROOT

PACKAGE = ROOT / "cof_agent"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_every_module_that_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.py|\w+/))`", PAGE))
    assert named
    assert not [path for path in named if not ((PACKAGE / path).exists() or (ROOT / path).exists())]


def test_the_table_has_every_room_and_where_to_begin_in_it() -> None:
    table = PAGE.partition("| room |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)/` \| .* \| (.*) \|$", table, re.M))
    assert rows.keys() == ROOMS
    for room, begin in rows.items():
        for name in re.findall(r"`([\w./]+)`", begin):
            assert (PACKAGE / room / name).exists(), f"{room}/{name}"


def test_the_drawing_has_every_room() -> None:
    drawn = (ROOT / "docs" / "img" / "rooms.svg").read_text(encoding="utf-8")
    assert set(re.findall(r">(\w+)/<", drawn)) == ROOMS


def test_the_other_drawings_name_modules_that_are_there() -> None:
    for drawing in (ROOT / "docs" / "img").glob("*.svg"):
        for path in re.findall(r">(\w+/\w+)<", drawing.read_text(encoding="utf-8")):
            assert (PACKAGE / f"{path}.py").exists() or (PACKAGE / path).is_dir(), f"{drawing.name}: {path}"


def test_docstrings_are_written_in_markdown() -> None:
    roles = r":(?:class|func|meth|mod|attr|exc):`"
    assert not [path for path in PACKAGE.rglob("*.py") if re.search(roles, path.read_text(encoding="utf-8"))]


def test_every_public_name_of_the_package_has_a_place_in_the_api() -> None:
    import cof_agent

    api = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    listed = set(re.findall(r"^::: cof_agent\.(\w+)$", api, re.M)) | {
        name for name in cof_agent.__all__ if name.endswith("Error")
    }
    assert set(cof_agent.__all__) <= listed
