"""Every link of every page leads somewhere."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.pages import PAGES, ROOT, anchors, links, outline

CARD = "cof_agent/policies/tiny/checkpoint/README.md"
MORE = [ROOT / name for name in ("CHANGELOG.md", "training/RESULTS.md", "examples/images/README.md", CARD)]


@pytest.mark.parametrize("page", [*PAGES, *MORE], ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_headings_are_there(page: Path) -> None:
    broken = []
    for link in links(page):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        if not (target.is_relative_to(ROOT) and target.exists()) or (heading and heading not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", [*PAGES, *MORE[1:]], ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_names_in_the_text_are_there(page: Path) -> None:
    text = "\n".join(text for kind, text in outline(page) if not kind.startswith("```"))
    named = " ".join(re.findall(r"`([^`]+)`", text))
    files = re.findall(r"(?<![\w/.])(?:tests|training|examples|graphs|docs|cof_agent)/[\w./-]+\.\w+", named)
    files += [module.replace(".", "/") for module in re.findall(r"-m ((?:tests|training)\.[\w.]+)", named)]
    paths = [ROOT / file for file in files if "NAME" not in file]
    assert not [path for path in paths if not (path.exists() or path.with_suffix(".py").exists())]
    for name in re.findall(r"(?<![\w/.])cof_agent(?:\.\w+)+", named):
        assert pkgutil.resolve_name(name) is not None


def test_every_page_can_be_reached() -> None:
    seen, waiting = set[Path](), [ROOT / "README.md", ROOT / "docs" / "index.md"]  # here, and on the site
    while waiting:
        page = waiting.pop()
        seen.add(page)
        near = {(page.parent / link.partition("#")[0]).resolve() for link in links(page) if ":" not in link}
        waiting += sorted(path for path in near - seen if path.suffix == ".md" and path.exists())
    assert set(PAGES) <= seen


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180
