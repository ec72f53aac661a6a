"""An image by the hash of its content, as graph state and messages refer to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cof_agent.errors import ImageError
from cof_agent.images.geometry import Size

SCHEMA = 1
"""Version of the JSON form of an `ImageRef`."""

URL_PREFIX = "cof-image://sha256/"

_HASH = re.compile(r"[0-9a-f]{64}")
_MIME_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*/[A-Za-z0-9][A-Za-z0-9.+-]*")


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Names an image that an image store holds. Raises ImageError when a field cannot be one."""

    sha256: str
    """64 lower-case hexadecimal digits: of the bytes, or of mode, size and pixels where the source was a PIL image."""
    mime_type: str
    """Of the bytes in the store, such as `image/jpeg`."""
    width: int
    """In upright pixels."""
    height: int
    """In upright pixels."""

    def __post_init__(self) -> None:
        if not (isinstance(self.sha256, str) and _HASH.fullmatch(self.sha256)):
            raise ImageError(f"image reference with sha256 {self.sha256!r}: it needs 64 lower-case hexadecimal digits")
        if not (isinstance(self.mime_type, str) and _MIME_TYPE.fullmatch(self.mime_type)):
            raise ImageError(f"image reference with mime_type {self.mime_type!r}: it needs one like 'image/jpeg'")
        for side in (self.width, self.height):
            if type(side) is not int or side < 1:
                raise ImageError(
                    f"image reference of {self.width!r}x{self.height!r} pixels: both sides must be whole and positive"
                )

    @property
    def size(self) -> Size:
        """Width and height in upright pixels."""
        return self.width, self.height

    @property
    def url(self) -> str:
        """`cof-image://sha256/<hash>`, the form used in messages."""
        return URL_PREFIX + self.sha256

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "sha256": self.sha256,
            "mime_type": self.mime_type,
            "width": self.width,
            "height": self.height,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ImageRef:
        """Rebuild a reference from `to_json`. Raises ImageError for any other value."""
        try:
            if value["schema"] != SCHEMA:
                raise ImageError(
                    f"an image reference of schema {value['schema']!r}: this version reads schema {SCHEMA}"
                )
            return cls(value["sha256"], value["mime_type"], value["width"], value["height"])
        except (KeyError, TypeError) as error:
            given = f"a mapping of {sorted(map(str, value))}" if isinstance(value, Mapping) else f"{value!r:.80}"
            raise ImageError(
                f"{given} is not an image reference: pass the path or URL itself, or the mapping of ImageRef.to_json()"
            ) from error
