"""What an image source may cost."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cof_agent.errors import ConfigError, ImageError
from cof_agent.images.display_name import show_source
from cof_agent.images.geometry import MAX_ASPECT, Size

DECODE_SECONDS = 30.0
"""Twice what the model states for a WebP of 178 megapixels, the slowest of the usual formats."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds that `open_image` keeps. Raises ConfigError for a bound below its minimum."""

    max_bytes: int = 256 * 2**20
    """Largest encoded image, in bytes as received (and once more after HTTP decompression)."""
    max_pixels: int = 178_000_000
    """Largest width x height that is decoded as a whole. Pillow's process-wide limit is neither used nor changed."""
    max_large_pixels: int = 100_000_000_000
    """Largest width x height of a TIFF, PNG, JPEG or slide that is read where it lies (extras large and slides)."""
    max_aspect: float = MAX_ASPECT
    """Largest longer side over shorter side."""
    http_seconds: float = 20.0
    """Wall-clock time for fetching a URL, from the name look-up to the last byte, redirects included."""
    max_redirects: int = 3
    """Most redirects followed for one URL."""
    allow_private_hosts: bool = False
    """Whether a URL may lead to an address that is not public: loopback, private, link-local and the like."""
    decode_seconds: float = DECODE_SECONDS
    """Wall-clock time for decoding one image, each time its pixels are needed."""
    roots: tuple[str | os.PathLike[str], ...] | None = None
    """Directories below which files may be read, symbolic links resolved. None: anywhere; empty: nowhere.

    Object storage is read with the operator's keys, and counts like files: `s3://bucket/photos` may be a root too.
    """

    def __post_init__(self) -> None:
        if self.max_aspect > MAX_ASPECT:
            raise ConfigError(f"max_aspect is {self.max_aspect!r}: the size rule takes at most {MAX_ASPECT}")
        for name in ("max_bytes", "max_pixels", "max_large_pixels", "max_aspect"):
            if not getattr(self, name) >= 1:
                raise ConfigError(f"{name} is {getattr(self, name)!r}: it must be at least 1")
        if not self.http_seconds > 0:
            raise ConfigError(f"http_seconds is {self.http_seconds!r}: it must be above 0")
        if not self.decode_seconds > 0:
            raise ConfigError(f"decode_seconds is {self.decode_seconds!r}: it must be above 0")
        if self.max_redirects < 0:
            raise ConfigError(f"max_redirects is {self.max_redirects!r}: it must not be negative")
        if isinstance(self.roots, str | os.PathLike):  # whose characters would be roots
            raise ConfigError(f"roots is {self.roots!r}: it must be a tuple of directories")

    def allowed_file(self, path: str) -> str:
        """`path` as it may be opened: where there are roots, with its symbolic links resolved.

        Raises ImageError when it leads outside of the roots, whether or not there is such a file.
        """
        if self.roots is None:
            return path
        real = os.path.realpath(path)
        roots = [os.path.realpath(root) for root in self.roots if not _is_address(root)]
        if not any(Path(real).is_relative_to(root) for root in roots):
            instead = f"pass a file below {' or '.join(roots)}" if roots else "pass a URL"
            allow = "allow its directory: name it among the roots in ImageLimits"
            raise ImageError(f"{show_source(path)} may not be read: {instead}, or {allow}")
        return real

    def check_address(self, url: str, name: str) -> None:
        """Raise ImageError when the object at `url`, in object storage, lies outside of the roots."""
        if self.roots is None:
            return
        roots = [str(root).rstrip("/") for root in self.roots if _is_address(root)]
        if not any(url.startswith(f"{root}/") for root in roots):
            raise ImageError(
                f"{name} may not be read: allow its bucket or directory: name it among the roots in ImageLimits"
            )

    def check_bytes(self, count: int, source: str) -> None:
        """Raise ImageError when an encoded image of `count` bytes is too large."""
        if count > self.max_bytes:
            raise ImageError(
                f"{source} is larger than {self.max_bytes:,} bytes: save it smaller, or raise max_bytes in ImageLimits"
            )

    def check_size(self, size: Size, source: str) -> None:
        """Raise ImageError when an image of `size` pixels is too large, too thin or has no area."""
        width, height = size
        self._check_shape(size, source)
        if width * height > self.max_pixels:
            raise ImageError(
                f"{source} has {width}x{height} = {width * height:,} pixels, over the limit of {self.max_pixels:,}: "
                "shrink or cut it, pass the path of a TIFF, PNG or JPEG (with the extra large), or raise max_pixels in "
                "ImageLimits"
            )

    def check_large(self, size: Size, source: str) -> None:
        """Raise ImageError when a picture that is read where it lies is too large, too thin or has no area."""
        width, height = size
        self._check_shape(size, source)
        if width * height > self.max_large_pixels:
            raise ImageError(
                f"{source} has {width}x{height} = {width * height:,} pixels, over the limit of "
                f"{self.max_large_pixels:,}: cut it, or raise max_large_pixels in ImageLimits"
            )

    def _check_shape(self, size: Size, source: str) -> None:
        width, height = size
        if width < 1 or height < 1:
            raise ImageError(f"{source} has no pixels ({width}x{height}): use another file")
        if max(size) > self.max_aspect * min(size):
            raise ImageError(
                f"{source} of {width}x{height} pixels is too thin: the longer side may be at most "
                f"{self.max_aspect:g} times the shorter one; cut it into pieces"
            )


def _is_address(root: str | os.PathLike[str]) -> bool:
    return "://" in os.fspath(root)


def named_roots(names: str | None) -> tuple[str, ...] | None:
    """The `roots` that a text names, separated by `os.pathsep` as in PATH; None, which is anywhere, for None.

    Raises ConfigError for a name that is no directory.
    """
    if names is None:
        return None
    roots = tuple(filter(None, names.split(os.pathsep)))
    for root in roots:
        if not os.path.isdir(root):
            raise ConfigError(f"the root {root!r} is no directory: name those that exist, separated by {os.pathsep!r}")
    return roots
