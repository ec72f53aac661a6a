"""From any source of an image to what a policy is shown. Public names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.lazy_names import lazy_names

if TYPE_CHECKING:
    from cof_agent.images.limits import ImageLimits as ImageLimits
    from cof_agent.images.opening import ImageSource as ImageSource
    from cof_agent.images.opening import load_image as load_image
    from cof_agent.images.opening import open_image as open_image
    from cof_agent.images.reference import ImageRef as ImageRef
    from cof_agent.images.region_source import RegionSource as RegionSource
    from cof_agent.images.source_image import SourceImage as SourceImage
    from cof_agent.images.view_encoding import ViewEncoding as ViewEncoding
    from cof_agent.images.view_encoding import encode_view as encode_view
else:
    __getattr__, __dir__ = lazy_names(__name__)
