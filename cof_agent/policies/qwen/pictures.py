"""The images in a conversation, as a Qwen-VL model takes them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from cof_agent.errors import ConfigError, ImageError
from cof_agent.images.codecs.flattening import flatten
from cof_agent.images.geometry import Size

IMAGE_BLOCKS = ("image", "image_url")


@dataclass(frozen=True, slots=True)
class PromptImage:
    """One image of a prompt: encoded, and where its visual tokens lie."""

    data: bytes
    digest: str
    """SHA-256 of `data`."""
    size: Size
    start: int = 0
    """Position of its first token in the prompt."""
    tokens: int = 0
    """Visual tokens it takes."""

    def pixels(self) -> Image.Image:
        """Decoded, RGB, at its own size."""
        try:
            with Image.open(io.BytesIO(self.data)) as image:
                return flatten(image).convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise ImageError(f"an image of the conversation cannot be decoded: {error}") from error


def read_picture(block: dict[str, Any]) -> PromptImage:
    """The image in a content block: base64 or a data URL, in any of LangChain's forms.

    Raises ConfigError for a block that holds only an address, and ImageError for data that is no image.
    """
    data = _data(block)
    try:
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"an image of the conversation cannot be read: {error}") from error
    return PromptImage(data, hashlib.sha256(data).hexdigest(), size)


def _data(block: dict[str, Any]) -> bytes:
    inline = block.get("base64") or (block.get("data") if block.get("source_type") == "base64" else None)
    if isinstance(inline, str):
        return _decoded(inline)
    address = block.get("url") or block.get("image_url")
    if isinstance(address, dict):
        address = address.get("url")
    if isinstance(address, str) and address[:5].lower() == "data:":
        head, comma, body = address.partition(",")
        if comma and head.lower().endswith(";base64"):
            return _decoded(body)
        raise ConfigError("an image's data URL must be base64: data:image/png;base64,…")
    if isinstance(address, str):
        raise ConfigError(
            f"a local model takes images as base64 or data URLs, not from {address:.80}: read the image first "
            "(references of an image store are resolved by the loop)"
        )
    raise ConfigError(f"an image block holds no image that a local model can read; its keys: {sorted(block)}")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"an image of the conversation is not valid base64: {error}") from error
