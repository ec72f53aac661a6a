"""From any source of an image to what a policy is shown. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.images.limits import ImageLimits
    from cof_agent.images.opening import ImageSource, SourceImage, ViewEncoding, encode_view, load_image, open_image
    from cof_agent.images.reference import ImageRef

_HOMES = {
    "limits": ("ImageLimits",),
    "opening": ("ImageSource", "SourceImage", "ViewEncoding", "encode_view", "load_image", "open_image"),
    "reference": ("ImageRef",),
}

__all__ = [
    "ImageLimits",
    "ImageRef",
    "ImageSource",
    "SourceImage",
    "ViewEncoding",
    "encode_view",
    "load_image",
    "open_image",
]


__getattr__ = lazy_names(__name__, {name: home for home, names in _HOMES.items() for name in names})
