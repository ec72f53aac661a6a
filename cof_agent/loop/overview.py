"""What a run begins with: the question, the image, and the view of the whole of it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from cof_agent.dialects.profile import Profile
from cof_agent.errors import ImageError, QuestionError
from cof_agent.images.display_name import show_source
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import load_image, open_image
from cof_agent.images.receiving.source_bytes import is_remote
from cof_agent.images.reference import ImageRef
from cof_agent.images.rendering.decode_queue import decode_queue
from cof_agent.images.source_image import SourceImage
from cof_agent.images.store import ImageStore
from cof_agent.images.views import View, keep_original, show_overview
from cof_agent.loop.state import FocusState
from cof_agent.loop.transcript import json_safe, views_of


def check_question(question: object, where: str = "") -> str:
    """The question as it is asked. Raises QuestionError, saying `where` it stood, for anything but text."""
    if isinstance(question, str) and question.strip():
        return str(json_safe(question.strip()))
    raise QuestionError(f"the question{where and f' {where}'} must be a text that is not empty, not {question!r:.80}")


def open_overview(
    state: FocusState, profile: Profile, store: ImageStore, limits: ImageLimits
) -> tuple[dict[str, Any], View | None]:
    """The original, as state keeps it, and its overview, or None where the conversation has that.

    One whose views the store has lost begins anew, like one about another image, where the image is given again.

    Raises ImageError when there is no such image, and QuestionError when there is none at all.
    """
    # No place is held while something is fetched: one slow host would delay all questions.
    with nullcontext() if is_remote(state.get("image")) else decode_queue().in_hand():
        original, source = _original(state, store, limits)
        known = "original" in state and _url(original) == _url(state["original"])
        if known and not (state.get("image") is not None and _lacks_views(state, store)):
            return original, None
        source = source or load_image(ImageRef.from_json(original), store, limits=limits, name=original.get("source"))
        shown = profile.overview.fit(source.ref.size)
        return original, show_overview(source, shown, profile.overview.tokens(shown), store, profile.encoding)


def open_original(state: FocusState, store: ImageStore, limits: ImageLimits, image_index: int) -> SourceImage:
    """The original of a conversation. Raises what `load_image` does."""
    original = state["original"]
    return load_image(ImageRef.from_json(original), store, limits=limits, name=original.get("source"))


def _url(original: dict[str, Any]) -> str:
    return ImageRef.from_json(original).url


def holds_secret(image: Any) -> bool:
    """Whether the `image` that a run is given would bring a password, a key or pixels into what is kept of it."""
    named = image.get("source") if isinstance(image, dict) else image
    return isinstance(named, str) and show_source(named) != named


def without_secret(image: Any, store: ImageStore, limits: ImageLimits) -> dict[str, Any]:
    """The reference of such an image, which is opened and kept for that. Raises ImageError where it cannot be."""
    if isinstance(image, dict):
        return {**image, "source": show_source(image["source"])}
    with nullcontext() if is_remote(image) else decode_queue().in_hand():
        return keep_original(open_image(image, limits=limits), store)


def _lacks_views(state: FocusState, store: ImageStore) -> bool:
    """Whether the store has lost what the conversation shows, so that the image has to be shown anew."""
    return any(view.image not in store for view in views_of(state.get("messages", [])))


def _original(state: FocusState, store: ImageStore, limits: ImageLimits) -> tuple[dict[str, Any], SourceImage | None]:
    """Its reference and source as plain JSON; and itself, if it was opened now."""
    image = state.get("image")
    if isinstance(image, str):
        opened = open_image(image, limits=limits)
        return keep_original(opened, store), opened
    if isinstance(image, dict):
        ref = ImageRef.from_json(image)
        pages = {"pages": image["pages"]} if isinstance(image.get("pages"), int) else {}
        return {**ref.to_json(), "source": show_source(str(image.get("source") or ref.url)), **pages}, None
    if image is not None:
        raise ImageError(
            f"graph state takes an image as a path, a URL or an image reference, not {type(image).__name__}: "
            "put it in the graph's store and pass its reference, or use ChainOfFocus"
        )
    if "original" not in state:
        raise QuestionError("there is no image: put a path, a URL or an image reference under the key `image`")
    return state["original"], None
