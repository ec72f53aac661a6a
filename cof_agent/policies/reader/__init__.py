"""The policy `reader`: answers questions about text that is visible in photos, offline, on a CPU.

It reads English questions and whatever RapidOCR's bundled models read. What text cannot tell it declines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.dialects.profile import Profile
from cof_agent.errors import MissingExtraError
from cof_agent.images.opening import ViewEncoding

if TYPE_CHECKING:
    from cof_agent.policies.reader.model import ReaderModel

__all__ = ["PROFILE", "reader_model"]

PROFILE = Profile(encoding=ViewEncoding(png_pixels=512 * 512), several_images=True)
"""Small views stay without loss: its figures were measured so."""


def reader_model() -> ReaderModel:
    """The reader as a chat model. Raises MissingExtraError, with the command to run, without the extra `reader`.

    RapidOCR itself is loaded when the first view is read, once per process.
    """
    from importlib.util import find_spec

    if not all(find_spec(name) for name in ("rapidocr", "onnxruntime", "numpy")):
        raise MissingExtraError.for_extra("reader", "the policy `reader`")
    from cof_agent.policies.reader.model import ReaderModel

    return ReaderModel()
