"""The policy `reader`: answers questions about text that is visible in photos, offline, on a CPU.

It reads English questions and whatever RapidOCR's bundled models read. What text cannot tell it declines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.images.opening import ViewEncoding

if TYPE_CHECKING:
    from cof_agent.policies.reader.model import ReaderModel

__all__ = ["PROFILE", "reader_model"]

PROFILE = Profile(encoding=ViewEncoding(png_pixels=512 * 512), several_images=True)
"""Small views stay without loss: its figures were measured so."""


def reader_model(*, page_text: bool = False, **unknown: Any) -> ReaderModel:
    """The reader as a chat model.

    With `page_text` it takes the words of a page's own text where a view shows them large enough to be read. That text
    may be hidden, or differ from what is printed. RapidOCR itself is loaded when the first view is read, once per
    process.

    Raises MissingExtraError, with the command to run, without the extra `reader`, and ConfigError for other options.
    """
    from importlib.util import find_spec

    if unknown:
        raise ConfigError(f"the policy `reader` has no option {', '.join(sorted(unknown))}: it takes page_text")
    if not isinstance(page_text, bool):
        raise ConfigError(f"page_text is true or false, not {page_text!r:.80}")

    if not all(find_spec(name) for name in ("rapidocr", "onnxruntime", "numpy")):
        raise MissingExtraError.for_extra("reader", "the policy `reader`")
    from cof_agent.policies.reader.model import ReaderModel

    return ReaderModel(page_text=page_text)
