"""What a host's model is told about close looking; the same words at every host."""

from __future__ import annotations

import json
from typing import Any

from cof_agent.dialects.registry import get_dialect
from cof_agent.policies.policy import Policy

LOOK = (
    "Answers a question about an image. It zooms by itself into whatever is too small to make out, so give it "
    "the whole image in full size. Says so when the image cannot answer the question."
)

QUESTION = "one question about the image"

PATH = "a path or a URL"
PATHS = "a path or a URL, or a list of them where the question is about several images together"

PATH_SCHEMA: dict[str, Any] = {"type": "string"}
PATHS_SCHEMA: dict[str, Any] = {"anyOf": [PATH_SCHEMA, {"type": "array", "items": PATH_SCHEMA, "minItems": 1}]}

NO_IMAGE = "there is no image: pass its path or URL, or ask for one to be sent"
NO_QUESTION = f"there is no question: pass {QUESTION}"


def takes_several(policy: Policy) -> bool:
    """Whether a question may be about several images: whether the policy's dialect names images."""
    return get_dialect(policy.profile.dialect).names_images(policy.profile)


def listed(image: Any) -> Any:
    """The list whose JSON text `image` is, as some models write one; anything else as it is."""
    if not (isinstance(image, str) and image.lstrip()[:1] == "[" and image.rstrip()[-1:] == "]"):
        return image
    try:
        value = json.loads(image)
    except (ValueError, RecursionError):
        return image
    return value if all(isinstance(each, str) for each in value) else image
