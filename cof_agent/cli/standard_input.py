"""An image on standard input, which `-` names."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cof_agent.errors import ConfigError, ImageError

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


def check_no_standard_input(images: Sequence[str] | None) -> None:
    """Raise ConfigError where `chat`, whose questions come from there, is to read its image from standard input."""
    if images and STANDARD_INPUT in images:
        raise ConfigError(
            "chat reads questions from standard input, so the image cannot come from there: give chat a path or a URL, "
            "or use cof-agent ask -; a file of that name is ./-"
        )
