"""The image that the words of a command name: `-` for standard input, and which page of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cof_agent.cli.output import say
from cof_agent.errors import ConfigError, ImageError
from cof_agent.images.display_name import show_source

if TYPE_CHECKING:
    from cof_agent.images.opening import ImageSource

STANDARD_INPUT = "-"


def image_named(image: str, limits: Mapping[str, Any]) -> str | bytes:
    """An image argument of `ask`: its bytes where it is `-`, else itself.

    Of more bytes than `limits`, the fields of `ImageLimits`, allow one too many is read, for them to be refused.

    Raises ConfigError where standard input is a terminal or closed, ImageError where nothing comes from it.
    """
    if image != STANDARD_INPUT:
        return image
    from cof_agent.images.limits import ImageLimits

    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise ConfigError(
            'the image - is read from standard input, and nothing is sent there: cof-agent ask - "…" < photo.jpg; '
            "a file of that name is ./-"
        )
    try:
        data = sys.stdin.buffer.read(ImageLimits(**limits).max_bytes + 1)
    except OSError as error:
        raise ImageError(
            f"standard input cannot be read ({error.strerror or error}): send the bytes of an image"
        ) from error
    if not data:
        raise ImageError("standard input is empty: check that the command before the | printed an image")
    return data


def on_page(images: Sequence[str | bytes], page: int | None, limits: Mapping[str, Any]) -> list[ImageSource]:
    """The images; the one image with the page that `--page` names.

    Raises ConfigError where the image names another page, or there are several; ImageError for bytes without that page.
    """
    if page is None:
        return list(images)
    from cof_agent.images.limits import ImageLimits
    from cof_agent.images.opening import open_image
    from cof_agent.images.receiving.page_name import split_page

    if len(images) != 1:
        raise ConfigError(f"--page {page} goes with one image: of several, write #page={page} behind the name of each")
    if not isinstance(images[0], str):
        return [open_image(images[0], limits=ImageLimits(**limits), page=page)]
    try:
        bare, page = split_page(images[0], page, ImageLimits(**limits))
    except ImageError as error:
        raise ConfigError(str(error)) from error
    return [f"{bare}#page={page}"]


def tell_of_pages(image: object, page: int | None, pages: int | None) -> None:
    """Say on standard error that a document has more pages, where `image` does not name one."""
    if pages and pages > 1 and not (isinstance(image, str) and "#page=" in image):
        name = image if isinstance(image, str) else "the image"
        say(
            f"{show_source(name)}: page {page} of {pages}; --page N, or #page=N behind the name, asks about another",
            err=True,
        )


def check_no_standard_input(images: Sequence[str] | None) -> None:
    """Raise ConfigError where `chat`, whose questions come from there, is to read its image from standard input."""
    if images and STANDARD_INPUT in images:
        raise ConfigError(
            "chat reads questions from standard input, so the image cannot come from there: give chat a path or a URL, "
            "or use cof-agent ask -; a file of that name is ./-"
        )
