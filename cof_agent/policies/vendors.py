"""How vendors' own models are shown images and asked for boxes, by tool calls of their own.

Looked up in December 2026, never run against the vendors:

- Anthropic (platform.claude.com/docs/en/build-with-claude/vision and …/vision-coordinates): pixels of the image as the
  model sees it, and not normalised ones. Images with a side over 1,568 pixels, or of more than about 1.15 megapixels,
  are made smaller first; sides are padded to multiples of 28. Newer models take larger ones. At most 100 images a
  request, 20 of them above 2,000 pixels; 32 MB a request. Results of tools may hold images.
- OpenAI (developers.openai.com/api/docs/guides/images-vision): images are made to fit 768 by 2,000 pixels and, for
  other models, 1,536 patches of 32 by 32 pixels; newer models can take more. At most 500 images and 50 MB a request.
  Which coordinates its models learnt is not published: here they are pixels of the view, which is not resized once
  more. Messages of tools hold text alone.
- Google (docs.cloud.google.com/vertex-ai/generative-ai/docs/bounding-box-detection): [y_min, x_min, y_max, x_max] in
  0 to 1000. At which size an image is made smaller is not published; such coordinates do not depend on it.
  20 MB a request (ai.google.dev/gemini-api/docs/vision).
"""

from __future__ import annotations

from collections.abc import Mapping

from cof_agent.dialects.native import PROFILE as NATIVE
from cof_agent.dialects.profile import Profile
from cof_agent.images.geometry import CoordinateSpace, SizeRule
from cof_agent.policies.address import Address

_ANTHROPIC = SizeRule(28, 112**2, 1_150_000, (1568, 1568))
_OPENAI = SizeRule(32, 128**2, 1536 * 32**2, (768, 1984))
"""1,984 is the last multiple of 32 up to 2,000."""

VENDORS: Mapping[str, Profile] = {
    "anthropic": NATIVE.model_copy(update={"overview": _ANTHROPIC, "regions": _ANTHROPIC, "tool_images": True}),
    "openai": NATIVE.model_copy(update={"overview": _OPENAI, "regions": _OPENAI}),
    "google": NATIVE.model_copy(update={"coordinates": CoordinateSpace.THOUSANDTHS_YX}),
}
"""Profiles by vendor."""

_PROVIDERS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google_genai": "google",
    "google_vertexai": "google",
}
"""The vendors that LangChain's providers lead to."""


def vendor_profile(provider: str, base_url: str | None = None) -> Profile | None:
    """The profile of the models that a provider has; None where others may be behind its `base_url`."""
    vendor = _PROVIDERS.get(provider.replace("-", "_").lower())
    others = base_url is not None and not Address.parse(base_url).is_vendors
    return None if vendor is None or others else VENDORS[vendor]
