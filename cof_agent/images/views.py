"""What a policy was shown, as a value, and how it is made from the original."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cof_agent.errors import TrajectoryError
from cof_agent.images.geometry import Box, Size
from cof_agent.images.reference import ImageRef
from cof_agent.images.source_image import SourceImage
from cof_agent.images.store import ImageStore
from cof_agent.images.view_encoding import ViewEncoding, encode_view

if TYPE_CHECKING:
    from PIL.Image import Image

SCHEMA = 1
"""Version of the JSON form of every value kept in graph state."""

ViewKind: TypeAlias = Literal["overview", "zoom", "crop"]


@dataclass(frozen=True, slots=True)
class View:
    """One image as the policy saw it."""

    index: int
    """Position among the views of the conversation: first the overview of each image, then the regions."""
    kind: ViewKind
    box: Box
    """What it shows, in upright pixels of the original image that `image_index` names."""
    shown: Size
    """Width and height it was shown at, in pixels."""
    tokens: int
    """Visual tokens it costs."""
    image: ImageRef
    """The encoded view in the image store."""
    label: str | None = None
    """What the policy said it was looking at."""
    image_index: int = 0
    """Which of the question's images it shows, counted from 0. The overview of that image has the same number."""

    @property
    def is_overview(self) -> bool:
        """Whether it shows a whole image, at the question that is about it."""
        return self.kind == "overview"

    @property
    def magnification(self) -> float:
        """Shown pixels per original pixel, along the side where there are more."""
        return max(self.shown[0] / self.box.width, self.shown[1] / self.box.height)

    @property
    def block(self) -> dict[str, Any]:
        """The LangChain content block that stands for it in messages: a reference, never pixels."""
        return {"type": "image", "url": self.image.url, "mime_type": self.image.mime_type}

    def describe(self, image: str | None = None) -> str:
        """One line for people. It names the `image`, where there are several."""
        label = f" “{self.label}”" if self.label else ""
        (width, height), of = self.shown, f" of {image}" if image else ""
        return f"view {self.index}, {self.kind}{label}{of}: {self.box.as_list()} shown at {width}x{height}"

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "index": self.index,
            "kind": self.kind,
            "box": self.box.as_list(),
            "shown": list(self.shown),
            "tokens": self.tokens,
            "image": self.image.to_json(),
            "label": self.label,
            "image_index": self.image_index,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> View:
        """Rebuild a view from `to_json`. Raises TrajectoryError for any other value."""
        if value.get("schema") != SCHEMA:
            raise TrajectoryError(f"a view of schema {value.get('schema')!r}; this version reads schema {SCHEMA}")
        try:
            width, height = value["shown"]
            return cls(
                index=value["index"],
                kind=value["kind"],
                box=Box(*value["box"]),
                shown=(width, height),
                tokens=value["tokens"],
                image=ImageRef.from_json(value["image"]),
                label=value["label"],
                image_index=value.get("image_index", 0),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TrajectoryError(f"not a view: {error}") from error


@dataclass(frozen=True, slots=True)
class ViewEvent:
    """A view, the moment the policy gets it."""

    view: View
    thought: str | None
    """What the policy was thinking when it asked for it; None for the overview."""

    def to_json(self) -> dict[str, Any]:
        """What a graph sends to those who stream it in LangGraph's mode `custom`."""
        return {"type": "view", "view": self.view.to_json(), "thought": self.thought}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ViewEvent:
        """Rebuild an event from what a graph streams. Raises TrajectoryError for any other value."""
        if not isinstance(value, Mapping) or value.get("type") != "view" or not isinstance(value.get("view"), Mapping):
            raise TrajectoryError(f"not the event of a view: {value!r:.80}")
        return cls(View.from_json(value["view"]), value.get("thought"))

    def image(self, store: ImageStore) -> Image:
        """Its pixels as the policy saw them, RGB, out of the `store` that the agent or node was given.

        Raises ImageError where the store does not hold them.
        """
        from PIL import Image

        return Image.open(io.BytesIO(store.get(self.view.image))).convert("RGB")


RegionPixels: TypeAlias = "Callable[[SourceImage, Box, Size, View], Image]"
"""Makes the pixels of a region: of the source, a box in its pixels, at the size shown; given its overview too."""


def keep_original(source: SourceImage, store: ImageStore) -> dict[str, Any]:
    """Put an original in `store`; returns its reference and source as plain JSON, for the `image` of graph state.

    One that is read where it lies, or that was given as an object, is named by its reference only.
    """
    if source.data:
        store.put(source.ref, source.data)
    pages = {"pages": source.pages} if source.pages > 1 else {}
    return {**source.ref.to_json(), "source": source.source, **pages}


def show_overview(
    source: SourceImage,
    shown: Size,
    tokens: int,
    store: ImageStore,
    encoding: ViewEncoding | None = None,
    *,
    image_index: int = 0,
) -> View:
    """Render the whole image at `shown` pixels, keep it in `store` and return its view, which has the image's index."""
    data, ref = encode_view(source.overview(shown), encoding)
    store.put(ref, data)
    return View(image_index, "overview", Box.whole(source.ref.size), shown, tokens, ref, image_index=image_index)


def cut_region(source: SourceImage, box: Box, shown: Size, overview: View) -> Image:
    """The pixels of a region as they should be: `box` (original pixels) of the original, shown at `shown` pixels."""
    return source.region(box, shown)


def show_region(
    image: Image,
    box: Box,
    tokens: int,
    store: ImageStore,
    *,
    index: int,
    kind: ViewKind,
    label: str | None = None,
    encoding: ViewEncoding | None = None,
    image_index: int = 0,
) -> View:
    """Keep `image`, which shows `box` (pixels of the original number `image_index`), in `store`."""
    data, ref = encode_view(image, encoding)
    store.put(ref, data)
    return View(index, kind, box, image.size, tokens, ref, label, image_index)
