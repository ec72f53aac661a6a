"""The messages of graph state made ready for a policy: old regions dropped, references resolved."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Sequence
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage

from cof_agent.images.reference import ImageRef
from cof_agent.images.store import ImageStore
from cof_agent.images.views import View
from cof_agent.loop.transcript import view_of


def forget_regions(
    messages: Sequence[AnyMessage], views: Sequence[View], max_tokens: int, unshown: Collection[int] = ()
) -> list[AnyMessage]:
    """The messages with the oldest regions replaced by a line of text, so that all views fit in `max_tokens`.

    The overviews and the newest region always stay. The views numbered in `unshown` never do: the endpoint has no room
    for them.
    """
    forgotten = set(unshown)
    left = [view for view in views if view.index not in forgotten]
    total = sum(view.tokens for view in left)
    for view in [view for view in left if not view.is_overview][:-1]:
        if total <= max_tokens:
            break
        total -= view.tokens
        forgotten.add(view.index)
    return [
        message.model_copy(update={"content": f"[view {shown.index} is no longer shown]"})
        if isinstance(message, ToolMessage) and (shown := view_of(message)) and shown.index in forgotten
        else message
        for message in messages
    ]


def unshown_after(unshown: Sequence[int] | None, views: Sequence[View]) -> list[int] | None:
    """Which views to leave out after a prompt was too long: first the newest, then all regions; None if none is left.

    `unshown`: those that it left out already.
    """
    left = [view.index for view in views if not view.is_overview and view.index not in (unshown or ())]
    if not left:
        return None
    return [*(unshown or ()), *(left if unshown else left[-1:])]


def resolve_images(
    messages: Sequence[BaseMessage],
    views: Sequence[View],
    store: ImageStore,
    words: Callable[[View], list[Any]] | None = None,
) -> list[BaseMessage]:
    """The messages with every `cof-image://` reference replaced by the view's bytes.

    What `words` has for a view stands beside its bytes, as `words` among the block's `extras`. Raises ImageError,
    naming hash and store, for a view that the store does not hold.
    """
    shown = {view.image.url: view for view in views}

    def resolved(block: Any) -> Any:
        view = shown.get(block.get("url", "")) if isinstance(block, dict) else None
        if view is None:
            return block
        beside = words(view) if words else []
        return image_block(store.get(view.image), view.image) | ({"extras": {"words": beside}} if beside else {})

    return [
        message
        if isinstance(message.content, str)
        else message.model_copy(update={"content": [resolved(block) for block in message.content]})
        for message in messages
    ]


def image_block(data: bytes, ref: ImageRef) -> dict[str, Any]:
    """LangChain's content block for encoded image bytes."""
    return {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": ref.mime_type}
