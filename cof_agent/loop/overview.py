"""What a run begins with: the question, its images, and a view of the whole of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import check_names_images
from cof_agent.errors import ImageError, QuestionError
from cof_agent.images.display_name import nth_image, show_source
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import load_image, open_image
from cof_agent.images.receiving.source_bytes import is_remote
from cof_agent.images.reference import ImageRef
from cof_agent.images.rendering.decode_queue import decode_queue
from cof_agent.images.source_image import SourceImage
from cof_agent.images.store import ImageStore
from cof_agent.images.views import View, keep_original, show_overview
from cof_agent.loop.state import FocusState, originals_of
from cof_agent.loop.transcript import json_safe, views_of

Result = TypeVar("Result")

MAX_IMAGES = 32
"""Images of one question, at most. In the default limits about 12 overviews fit; this bounds how many are opened."""


def check_question(question: object, where: str = "") -> str:
    """The question as it is asked. Raises QuestionError, saying `where` it stood, for anything but text."""
    if isinstance(question, str) and question.strip():
        return str(json_safe(question.strip()))
    raise QuestionError(f"the question{where and f' {where}'} must be a text that is not empty, not {question!r:.80}")


def is_list(image: Any) -> bool:
    """Whether `image` stands for several images: a list or a tuple of them."""
    return isinstance(image, list | tuple)


def images_of(image: Any) -> list[Any]:
    """The images that a question is given: one, a list or a tuple of several, or none where `image` is None.

    Raises QuestionError for an empty list, and for more than `MAX_IMAGES`.
    """
    if not is_list(image):
        return [] if image is None else [image]
    if not image:
        raise QuestionError("the list of images is empty: name at least one, or none to go on with a conversation")
    if len(image) > MAX_IMAGES:
        raise QuestionError(
            f"{len(image)} images are too many for one question: ask about at most {MAX_IMAGES}, or fewer where their "
            "overviews together would exceed max_visual_tokens"
        )
    return list(image)


def open_overviews(
    state: FocusState, profile: Profile, store: ImageStore, limits: ImageLimits, max_tokens: int
) -> tuple[list[dict[str, Any]], list[View]]:
    """The originals, as state keeps them, and their overviews, or none of these where the conversation has them.

    A conversation whose views the store has lost begins anew, like one about other images, where its images are given
    again. Other images are also the same ones in another order.

    Raises ImageError when there is no such image, QuestionError when there is none at all or when the overviews of
    several take more than `max_tokens` visual tokens, and ConfigError for several that the dialect cannot tell apart.
    """
    given, before = images_of(state.get("image")), originals_of(state)
    count = len(given or before)
    check_names_images(profile, count)
    # No place is held while something is fetched: one slow host would delay all questions.
    with nullcontext() if any(map(is_remote, given)) else decode_queue().in_hand():
        originals, source = before, None
        if given:
            originals, source = _opened(given, store, limits)
        if not originals:
            raise QuestionError("there is no image: put a path, a URL or an image reference under the key `image`")
        known = [*map(_identity, originals)] == [*map(_identity, before)]
        if known and not (given and _lacks_views(state, store)):
            return originals, []
        return originals, _shown(originals, source, profile, store, limits, max_tokens)


def open_original(state: FocusState, store: ImageStore, limits: ImageLimits, image_index: int) -> SourceImage:
    """One of the originals of a conversation. Raises what `load_image` does."""
    original = originals_of(state)[image_index]
    return load_image(ImageRef.from_json(original), store, limits=limits, name=original.get("source"))


def holds_secret(image: Any) -> bool:
    """Whether the `image` that a run is given would bring a password, a key or pixels into what is kept of it."""
    if is_list(image):
        return any(map(holds_secret, image))
    if image is None or isinstance(image, str):
        return image is not None and show_source(image) != image
    try:
        return not isinstance(image, dict) or _reference(image) != image
    except ImageError:
        return True  # nobody knows what is in it


def without_secret(image: Any, store: ImageStore, limits: ImageLimits) -> Any:
    """The reference of such an image, which is opened and kept for that; of a list, each that is one.

    Raises ImageError where it cannot be opened or is no image, and QuestionError where the list is no question's.
    """
    if is_list(image):
        images = images_of(image)
        return [
            naming(at, len(images), partial(without_secret, one, store, limits)) if holds_secret(one) else one
            for at, one in enumerate(images)
        ]
    if not isinstance(image, str):
        return _original(image, store, limits)[0]
    with nullcontext() if is_remote(image) else decode_queue().in_hand():
        return keep_original(open_image(image, limits=limits), store)


def naming(index: int, count: int, opened: Callable[[], Result]) -> Result:
    """What `opened` returns. Of several images, its ImageError says which one it is about."""
    try:
        return opened()
    except ImageError as error:
        if count == 1:
            raise
        raise type(error)(f"{nth_image(index, count)}: {error}") from error


def _lacks_views(state: FocusState, store: ImageStore) -> bool:
    """Whether the store has lost what the conversation shows, so that the image has to be shown anew."""
    return any(view.image not in store for view in views_of(state.get("messages", [])))


def _identity(original: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one original from another."""
    return original["sha256"], original.get("page")


def _opened(
    images: Sequence[Any], store: ImageStore, limits: ImageLimits
) -> tuple[list[dict[str, Any]], SourceImage | None]:
    """Their references and sources as plain JSON; and the one image itself, if it was opened now.

    Of several, no two are held at the same time.
    """
    originals, source = [], None
    for at, image in enumerate(images):
        original, source = naming(at, len(images), partial(_original, image, store, limits))
        originals.append(original)
    return originals, source if len(images) == 1 else None


def _reference(image: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a reference: what it has to say, and its source without secrets. Raises ImageError for others."""
    kept = ImageRef.from_json(image).to_json()
    if isinstance(image.get("source"), str):
        kept["source"] = show_source(image["source"])
    if isinstance(image.get("pages"), int):
        kept["pages"] = image["pages"]
    return kept


def _original(image: Any, store: ImageStore, limits: ImageLimits) -> tuple[dict[str, Any], SourceImage | None]:
    if isinstance(image, str):
        opened = open_image(image, limits=limits)
        return keep_original(opened, store), opened
    if isinstance(image, dict):
        reference = _reference(image)
        return {**reference, "source": reference.get("source") or ImageRef.from_json(reference).url}, None
    raise ImageError(
        f"graph state takes an image as a path, a URL or an image reference, not {type(image).__name__}: "
        "put it in the graph's store and pass its reference, or use ChainOfFocus"
    )


def _shown(
    originals: Sequence[dict[str, Any]],
    source: SourceImage | None,
    profile: Profile,
    store: ImageStore,
    limits: ImageLimits,
    max_tokens: int,
) -> list[View]:
    """The overviews. `source` is the one original, where it is open."""
    refs = [ImageRef.from_json(original) for original in originals]
    sizes = [profile.overview.fit(ref.size) for ref in refs]
    costs = [profile.overview.tokens(size) for size in sizes]
    if len(refs) > 1 and sum(costs) > max_tokens:
        raise QuestionError(
            f"the overviews of {len(refs)} images cost {sum(costs)} visual tokens and {max_tokens} are allowed: "
            "ask about fewer images, raise max_visual_tokens, or use a profile with smaller overviews"
        )

    def show(at: int) -> View:
        name = originals[at].get("source")
        opened = source or load_image(refs[at], store, limits=limits, name=name)
        return show_overview(opened, sizes[at], costs[at], store, profile.encoding, image_index=at)

    return [naming(at, len(refs), partial(show, at)) for at in range(len(refs))]
