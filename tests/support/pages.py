"""The pages, and the code that stands in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "training" / "README.md"]


SMALL = (
    'max_steps=1, per_device_train_batch_size=2, report_to="none", gradient_accumulation_steps=1, use_cpu=True, '
    "bf16=False, save_steps=1, disable_tqdm=True"
)
TRAINING = {
    "docs/learning/export.md#training-files": (r'SFTConfig\("out"', f'SFTConfig("out", {SMALL}'),
    "docs/learning/trl.md#reinforcement-learning-with-trl": (
        r'GRPOConfig\("out", max_completion_length=4096',
        f'GRPOConfig("out", max_completion_length=16, num_generations=2, {SMALL}',
    ),
}
"""Blocks that train, and what their configuration is in tests: `tests/weights/docs` runs them."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    page: str
    """The page's path in the repository."""
    heading: str
    """The anchor of the heading above it."""
    number: int
    """1 for the first block of its language below that heading."""
    language: str
    code: str

    @property
    def id(self) -> str:
        """A name for tables of blocks: the page, the heading, and the number where it is not the first."""
        return f"{self.page}#{self.heading}" + (f":{self.number}" if self.number > 1 else "")


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    plain = re.sub(r"!?\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def outline(page: Path) -> Iterator[tuple[str, str]]:
    """The page in pieces, in order: `("heading", text)`, `("text", line)`, or `("```LANGUAGE", code)`."""
    fence, code = None, ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if fence is None and (opened := re.match(r"\s*(```+|~~~+)(.*)$", line)):
            fence, language, code = opened[1], opened[2].strip(), ""
        elif fence is None:
            heading = re.match(r"#{1,6} +(.*)$", line)
            yield ("heading", heading[1]) if heading else ("text", line)
        elif line.strip() == fence:
            yield f"```{language}", code
            fence = None
        else:
            code += line + "\n"
    assert fence is None, f"{page}: a block is not closed"


def blocks(*languages: str) -> list[Block]:
    """Every block of those languages on every page; of any language where none is given."""
    found = []
    for page in PAGES:
        name, heading, numbers = page.relative_to(ROOT).as_posix(), "", Counter[tuple[str, str]]()
        for kind, text in outline(page):
            if kind == "heading":
                heading = anchor(text)
            elif kind.startswith("```"):
                language = kind[3:]
                numbers[heading, language] += 1
                found.append(Block(name, heading, numbers[heading, language], language, text))
    return [block for block in found if not languages or block.language in languages]


def links(page: Path) -> Iterator[str]:
    """Where the links and pictures of a page lead to, outside of its code."""
    for kind, text in outline(page):
        if not kind.startswith("```"):
            yield from re.findall(r"\]\(<?([^)\s>]+)>?\)", re.sub(r"`[^`]*`", "", text))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings; those that come again have a number."""
    seen, found = Counter[str](), set()
    for kind, text in outline(page):
        if kind == "heading":
            name = anchor(text)
            found.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return found
