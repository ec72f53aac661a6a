"""Sources are named in messages without what is secret in them, however they are written."""

from __future__ import annotations

import pytest

from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from cof_agent.images.display_name import show_source, with_page

SHOWN = {
    "photos/a b@2x (1).jpg": "photos/a b@2x (1).jpg",
    r"C:\photos\a@b.jpg": r"C:\photos\a@b.jpg",
    "what?.jpg": "what?.jpg",
    "a\n\x1b[2Jb.jpg": r"a\n\x1b[2Jb.jpg",
    "https://ann:hunter2@host/x.png?sig=hunter2#hunter2": "https://host/x.png?…",
    " https://ann:hunter2@host/x.png": "https://host/x.png",
    "https://host/x;key=hunter2/y?z": "https://host/x;…",
    "https://api.telegram.org/file/bot12:hunter2-x/photos/1.jpg": "https://api.telegram.org/file/bot…/photos/1.jpg",
    "https://ann:hun/hunter2@host/": "https://…",
    "http://ann:12/hunter2@host/": "http://…",
    "https:/ann:hunter2@host/x?sig=hunter2": "https://…",
    r"https:\\ann:hunter2@host\x": "https://…",
    "https//ann:hunter2@host/x": "https://…",
    "https : //ann:hunter2@host/x": "https://…",
    "https:ann:hunter2@host/x": "https:…",
    "url=https://ann:hunter2@host/x": "…https://…",
    "'https://host/x?sig=hunter2'": "…https://…",
    "S3://bucket/x?sig=hunter2": "S3://bucket/x?…",
    "ann:hunter2@host/x.png": "…@host/x.png",
    "//ann:hunter2@host/x?sig=hunter2": "…@host/x?…",
    "host/x.png?X-Amz-Signature=hunter2&y": "host/x.png?…",
    "host/x.png#access_token=hunter2": "host/x.png#…",
    "data:image/png;base64,hunter2": "data URL (image/png, 29 characters)",
    " DATA:text/html,hunter2": "data URL (text/html, 22 characters)",
    "'data:image/png,hunter2": "data URL (image/png, 22 characters)",
}


@pytest.mark.parametrize("source", SHOWN)
def test_a_source_is_shown_without_what_is_secret(source: str) -> None:
    assert show_source(source) == SHOWN[source]
    assert show_source(SHOWN[source]) == SHOWN[source]
    assert "hunter2" not in SHOWN[source]


def test_a_long_one_is_cut() -> None:
    assert len(show_source("x" * 9000)) < 250
    assert len(show_source("https://host/" + "x" * 9000)) < 250


@pytest.mark.parametrize("part", ["a:", "a1", "@", ":", "/bot1", "?a", "a+.-", "&a", " ", "\\", "http", "data:"])
def test_work_grows_with_the_length_alone(part: str) -> None:
    """Quadratic, these would take hours."""
    assert len(show_source(part * 100_000)) < 250
    assert len(show_source("https://" + part * 100_000)) < 250


@pytest.mark.parametrize("source", [source for source in SHOWN if "hunter2" in source])
def test_no_error_repeats_it(source: str) -> None:
    """Nothing is fetched: no address is in reach of this time."""
    with pytest.raises(ImageError) as caught:
        open_image(source, limits=ImageLimits(http_seconds=1e-9))
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__


@pytest.mark.parametrize(
    ("source", "page", "pages", "name"),
    [
        ("plan.pdf", 2, 3, "plan.pdf#page=2"),
        ("plan.pdf", 1, 3, "plan.pdf#page=1"),
        ("plan.pdf", 1, None, "plan.pdf"),
        ("plan.pdf#page=2", 2, 3, "plan.pdf#page=2"),
        ("photo.jpg", None, None, "photo.jpg"),
    ],
)
def test_a_page_of_several_is_named(source: str, page: int | None, pages: int | None, name: str) -> None:
    assert with_page(source, page, pages) == name
