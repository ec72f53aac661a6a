"""Every link of every page leads somewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.pages import PAGES, ROOT, anchors, links

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
