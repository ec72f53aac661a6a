"""An image by the hash of its content, as graph state and messages refer to it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cof_agent.errors import ImageError
from cof_agent.images.display_name import show_source
from cof_agent.images.geometry import Size

SCHEMA = 1
"""Version of the JSON form of an `ImageRef`."""

OBJECT = "application/x-region-source"
"""The MIME type of references to sources that a program has given as objects."""

URL_PREFIX = "cof-image://sha256/"

_HASH = re.compile(r"[0-9a-f]{64}")
_MIME_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*/[A-Za-z0-9][A-Za-z0-9.+-]*")


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Names an image that an image store holds. Raises ImageError when a field cannot be one."""

    sha256: str
    """64 lower-case hexadecimal digits: of the bytes, or of mode, size and pixels where the source was a PIL image.

    Of a `file`: of its length and of samples of its bytes. Of a `RegionSource`: of its identity."""
    mime_type: str
    """Of the encoded bytes, such as `image/jpeg`."""
    width: int
    """In upright pixels."""
    height: int
    """In upright pixels."""
    page: int | None = None
    """Which page of the document it is, counted from 1. None: it is no page."""
    file: str | None = None
    """Absolute path of a file that is read where it lies: no store holds its bytes."""

    def __post_init__(self) -> None:
        if not (isinstance(self.sha256, str) and _HASH.fullmatch(self.sha256)):
            given = show_source(str(self.sha256))
            raise ImageError(f"image reference with sha256 {given!r}: it needs 64 lower-case hexadecimal digits")
        if not (isinstance(self.mime_type, str) and _MIME_TYPE.fullmatch(self.mime_type)):
            raise ImageError(
                f"image reference with mime_type {show_source(str(self.mime_type))!r}: it needs one like 'image/jpeg'"
            )
        for side in (self.width, self.height):
            if type(side) is not int or side < 1:
                raise ImageError(
                    f"image reference of {self.width!r}x{self.height!r} pixels: both sides must be whole and positive"
                )
        if self.page is not None and (type(self.page) is not int or self.page < 1):
            raise ImageError(f"image reference of page {self.page!r}: pages are whole numbers from 1 on")
        if self.file is not None and not (isinstance(self.file, str) and os.path.isabs(self.file)):
            raise ImageError(f"image reference to the file {show_source(str(self.file))!r}: it needs an absolute path")

    @property
    def size(self) -> Size:
        """Width and height in upright pixels."""
        return self.width, self.height

    @property
    def is_kept(self) -> bool:
        """Whether a store has its bytes. Files that are read where they lie, and objects, are in none."""
        return self.file is None and self.mime_type != OBJECT

    @property
    def url(self) -> str:
        """`cof-image://sha256/<hash>`, the form used in messages; a page has `#page=` and its number behind it.

        Two references of one URL name the same image.
        """
        return f"{URL_PREFIX}{self.sha256}" + (f"#page={self.page}" if self.page else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "sha256": self.sha256,
            "mime_type": self.mime_type,
            "width": self.width,
            "height": self.height,
            **({"page": self.page} if self.page is not None else {}),
            **({"file": self.file} if self.file is not None else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ImageRef:
        """Rebuild a reference from `to_json`. Raises ImageError for any other value."""
        try:
            if value["schema"] != SCHEMA:
                raise ImageError(
                    f"an image reference of schema {value['schema']!r}: this version reads schema {SCHEMA}"
                )
            page, file = value.get("page"), value.get("file")
            return cls(value["sha256"], value["mime_type"], value["width"], value["height"], page, file)
        except (KeyError, TypeError) as error:
            given = f"a mapping of {sorted(map(str, value))}" if isinstance(value, Mapping) else f"{value!r:.80}"
            raise ImageError(
                f"{given} is not an image reference: pass the path or URL itself, or the mapping of ImageRef.to_json()"
            ) from error
