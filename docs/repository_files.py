"""A hook of the site: pages link to files of the repository as they lie on disk, and the site shows those files, too.

A link that leads out of `docs/`, such as `../examples/ask.py`, becomes a link to a page of the site with that file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)\s#]+)(?=[#)])")
LANGUAGES = {".py": "python", ".json": "json", ".jsonl": "json", ".yaml": "yaml", ".toml": "toml"}
AS_THEY_ARE = (".md", ".png", ".jpg", ".svg")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file of the repository that a page links to, and what is linked there in turn."""
    waiting = list(files.documentation_pages())
    while waiting:
        page = waiting.pop()
        for path in {_linked(page, match[1]) for match in LINK.finditer(page.content_string)} - {None}:
            for each in [path, *_shown(path)]:
                if not each.is_relative_to(DOCS) and files.get_file_from_path(_uri(each)) is None:
                    files.append(added := _added(each, config))
                    waiting += [added] if each.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point every link to where the site has the file that it means."""
    here = page.file.src_uri
    if page.file.abs_src_path is None:
        page.meta["search"] = {"exclude": True}  # code, which would bury the pages

    def pointed(match: re.Match[str]) -> str:
        path = _linked(page.file, match[1])
        return posixpath.relpath(_uri(path), posixpath.dirname(here) or ".") if path else match[1]

    return LINK.sub(pointed, markdown)


def _linked(page: File, link: str) -> Path | None:
    """The file or folder of the repository that a link of a page means; None where there is none."""
    if page.abs_src_path is None:
        return None
    path = Path(posixpath.normpath(Path(page.abs_src_path).parent / link))
    return path if path.is_relative_to(ROOT) and path.exists() else None


def _uri(path: Path) -> str:
    """Where the site has a file: text and pictures under their own names, code and folders as pages."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix().removesuffix("/README.md")
    return name if name.endswith(AS_THEY_ARE) else f"{name}.md"


def _shown(path: Path) -> list[Path]:
    """The files of a folder that the site shows."""
    return sorted(each for each in path.iterdir() if each.suffix in LANGUAGES) if path.is_dir() else []


def _added(path: Path, config: MkDocsConfig) -> File:
    uri, inclusion = _uri(path), InclusionLevel.NOT_IN_NAV
    if path.suffix in AS_THEY_ARE:
        return File.generated(config, uri, abs_src_path=str(path), inclusion=inclusion)
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        links = [
            f"- [{each.name}]({posixpath.relpath(_uri(each), posixpath.dirname(uri) or '.')})" for each in _shown(path)
        ]
        content = "\n".join([f"# {name}/\n", *links, ""])
    else:
        language = LANGUAGES.get(path.suffix, "text")
        content = f"# {name}\n\n````{language}\n{path.read_text(encoding='utf-8')}\n````\n"
    return File.generated(config, uri, content=content, inclusion=inclusion)
