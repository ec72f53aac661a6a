"""Questions played one call a step.

What differs from a run of the graph is said in `cof_agent.learning.environment`.
"""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from PIL import Image

from cof_agent.dialects.reading import ReadingDialect
from cof_agent.dialects.registry import get_dialect
from cof_agent.dialects.tools import ZOOM
from cof_agent.dialects.turn import Call, Turn
from cof_agent.errors import ConfigError
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import open_image
from cof_agent.images.source_image import SourceImage
from cof_agent.images.store import MemoryStore
from cof_agent.images.views import RegionPixels, View, cut_region, show_overview
from cof_agent.learning.environment.row import check_first_look, originals_of, rules_of
from cof_agent.learning.environment.speech import TURN_END
from cof_agent.loop.call import NO_MORE, Progress, carry_out
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.looking import LookContext, refusal
from cof_agent.loop.state import no_usage, spent
from cof_agent.loop.transcript import as_message, calls_of, view_of

Blocks: TypeAlias = list[dict[str, Any]]
"""Content of a message: `{"type": "image", "image": PIL image}` and `{"type": "text", "text": …}`."""

_SPECIAL = re.compile(r"<\|(?=\w+\|>)")


@dataclass(frozen=True, slots=True)
class Episode:
    """What happened in an environment since it was reset."""

    views: tuple[View, ...]
    """The overview of each image, then each region in the order in which they were shown."""
    refused: int
    """Calls that the policy could have mended."""
    visual_tokens: int
    """Of all views."""
    limit: str | None
    """The limit that was reached, as a stop reason's value such as `zoom_limit`."""
    config: FocusConfig
    dialect: str = "cof"
    """How the policy writes."""

    @property
    def zooms(self) -> int:
        """Regions that were shown."""
        return sum(not view.is_overview for view in self.views)

    @property
    def images(self) -> int:
        """Images that the question is about: `image_index` of a view says which of them it shows."""
        return len(self.views) - self.zooms

    @property
    def looked_enough(self) -> bool:
        """Whether as many regions were shown as `min_zooms` asks for."""
        return self.zooms >= self.config.min_zooms


def _any_arguments(tool: Callable[..., Blocks]) -> Callable[..., Blocks]:
    """The tool, taking whatever a policy writes: what does not fit its signature is refused in the loop's words."""
    signature = inspect.signature(tool)

    @wraps(tool)
    def called(self: ZoomEnvironment, /, **arguments: Any) -> Blocks:
        try:
            signature.bind(self, **arguments)
        except TypeError:
            return self._call(tool.__name__, arguments)
        return tool(self, **arguments)

    return called


class ZoomEnvironment:
    """Plays questions one after the other; see the module. Its public methods are `reset` and the policy's tools.

    `limits` are what the original images may be; `region_pixels` replaces what regions show, as for `build_graph`.
    """

    def __init__(self, *, limits: ImageLimits | None = None, region_pixels: RegionPixels | None = None) -> None:
        self._limits, self._region_pixels = limits, region_pixels or cut_region
        self._error: Exception | None = None
        self._sources: list[SourceImage] = []

    def reset(self, **row: Any) -> None:
        """Take up the question of a row that `export --to trl-grpo` has written.

        Used are `original` (a path, bytes, a PIL image, or what `datasets` gives with `Image(decode=False)`, which is
        the quickest), `other_originals` (a list of such, of a question about several images), `profile` and `config`
        (as values or JSON) and `images`, where it is there to be checked.
        Raises ConfigError or ImageError for a row that cannot be played as the loop would, and what was recorded
        before if nobody has raised it.
        """
        raise_recorded([self])
        self._sources = []
        self._profile, self._config = rules_of(row)
        self._dialect = get_dialect(self._profile.dialect)
        sources = [open_image(original, limits=self._limits) for original in originals_of(row)]
        rule, self._store, self._views = self._profile.overview, MemoryStore(), list[View]()
        sizes = [rule.fit(source.ref.size) for source in sources]
        for image, shown in zip(row.get("images") or [], sizes, strict=False):
            if isinstance(image, Image.Image):
                check_first_look(row, image.size, shown)
        for index, (source, shown) in enumerate(zip(sources, sizes, strict=True)):
            tokens, encoding = rule.tokens(shown), self._profile.encoding
            self._views.append(show_overview(source, shown, tokens, self._store, encoding, image_index=index))
        self._progress = Progress(spent(no_usage(), visual_tokens=sum(view.tokens for view in self._views)))
        self._sources = sources

    @_any_arguments
    def image_zoom_in_tool(self, bbox_2d: list[float], label: str | None = None) -> Blocks:
        """
        Look closer at a region of the first image. It comes back enlarged, in full detail, with some margin.

        Args:
            bbox_2d: [x1, y1, x2, y2] of the region: left, top, right, bottom
            label: what you expect to see there

        Returns:
            The region and what to do next, or why the call was refused.
        """
        return self._call(ZOOM, {"bbox_2d": bbox_2d, "label": label})

    @property
    def episode(self) -> Episode:
        """What has happened so far. Raises ConfigError before the first reset."""
        self._opened()
        usage = self._progress.usage
        views, tokens, limit = tuple(self._views), usage["visual_tokens"], self._progress.closing
        return Episode(views, usage["refused"], tokens, limit, self._config, self._profile.dialect)

    @property
    def error(self) -> Exception | None:
        """What went wrong inside of a tool and is no matter of the policy's; see `raise_recorded`."""
        return self._error

    def _call(self, name: str, arguments: dict[str, Any]) -> Blocks:
        self._opened()
        if self._error is None:
            try:
                return self._observe(self._take(name, arguments))
            except Exception as error:  # the trainer would show it to the policy; raise_recorded raises it instead
                self._error = error
        return self._render(refusal(None, name, NO_MORE), [], closing=True)

    def _take(self, name: str, arguments: dict[str, Any]) -> ToolMessage:
        def sight(tokens_left: int) -> LookContext:
            source = self._sources.__getitem__
            return LookContext(source, self._views, self._store, self._profile, tokens_left, self._region_pixels)

        call = Call(name, arguments)
        if isinstance(self._dialect, ReadingDialect):  # arguments as it names them: those of the graph are ours
            call = self._dialect.translated(call)
        (asked,) = calls_of(as_message(AIMessage(""), Turn(calls=(call,)), []))
        message, self._progress = carry_out(asked, self._progress, self._config, sight)
        return message

    def _observe(self, message: ToolMessage) -> Blocks:
        view = view_of(message)
        pictures = [_decoded(self._store.get(view.image))] if view else []
        blocks = self._render(message, pictures, closing=self._progress.closing is not None)
        if view:
            self._views.append(view)
        return blocks

    def _render(self, message: ToolMessage, pictures: list[Image.Image], *, closing: bool) -> Blocks:
        """The observation as the dialect writes it; what stands only behind the last of a turn is marked as that."""
        last_words = [HumanMessage(self._profile.prompts.closing)] if closing else []
        own = len(self._dialect_blocks(message, message)) - len(self._dialect_blocks(message))
        waiting = iter(pictures)
        blocks: Blocks = []
        for position, block in enumerate(self._dialect_blocks(message, *last_words)):
            if block["type"] == "image":
                blocks.append({"type": "image", "image": next(waiting)})
            else:
                text = {"type": "text", "text": _SPECIAL.sub("< |", block["text"])}
                blocks.append(text | {TURN_END: True} if position >= own else text)
        return blocks

    def _dialect_blocks(self, *messages: AnyMessage) -> list[Any]:
        (*_, turn) = self._dialect.render([AIMessage(""), *messages], self._profile, tools=True)
        return list(turn.content)

    def _opened(self) -> None:
        if not self._sources:
            raise ConfigError("the environment has no question yet: reset it with a row")


def raise_recorded(environments: Iterable[ZoomEnvironment]) -> None:
    """Raise what went wrong inside of a tool, with its own traceback. A reward function calls it before all else.

    Of several errors it is the first, with a note on how many there are.
    """
    every = list(environments)
    errors = [environment.error for environment in every if environment.error is not None]
    for environment in every:
        environment._error = None
    if errors:
        errors[0].add_note(f"raised inside a tool, in {len(errors)} of {len(every)} environments of the batch")
        raise errors[0]


def _decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")
