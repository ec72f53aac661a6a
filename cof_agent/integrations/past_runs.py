"""The runs that an MCP server answered, for clients that want to see what was seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from cof_agent.agent.result import FocusResult
from cof_agent.agent.trajectory_file import IMAGES
from cof_agent.errors import ImageError
from cof_agent.images.display_name import nth_image
from cof_agent.images.store import DirectoryStore, ImageStore
from cof_agent.images.views import View


@dataclass(frozen=True, slots=True)
class PastView:
    """A view and the question it was made for."""

    view: View
    question: str
    images: int = 1
    """Images that the question is about."""

    @property
    def description(self) -> str:
        """One line, which names the image where the question is about several."""
        return self.view.describe(nth_image(self.view.image_index, self.images) if self.images > 1 else None)

    @property
    def name(self) -> str:
        """Short, without spaces."""
        return f"view-{self.view.index}-{self.view.image.sha256[:8]}"


class PastRuns:
    """The newest `keep` results, and as many views that were shown without a question.

    Their views are named by `ImageRef.url`; those that a store has dropped are gone.
    """

    def __init__(self, keep: int, earlier: Iterable[FocusResult] = ()) -> None:
        self.keeps = keep > 0
        self._results = deque(earlier, maxlen=keep)
        self._shown: deque[tuple[PastView, ImageStore]] = deque(maxlen=keep)

    def add(self, result: FocusResult) -> None:
        if result.saved is not None:  # the files outlive what a store keeps in memory
            result = replace(result, store=DirectoryStore(result.saved.parent / IMAGES))
        self._results.append(result)

    def add_view(self, view: View, what: str, store: ImageStore) -> None:
        """Keep a view that no run showed; `what` stands for the question."""
        self._shown.append((PastView(view, what), store))

    @property
    def views(self) -> list[PastView]:
        """Each image once, the newest run first, then what was shown without one."""
        found: dict[str, PastView] = {}
        for past, _ in self._kept():
            found.setdefault(past.view.image.url, past)
        return list(found.values())

    def image(self, url: str) -> tuple[bytes, str]:
        """Encoded bytes and MIME type of a view. Raises ImageError when no past run showed it, or all dropped it."""
        for past, store in self._kept():
            if past.view.image.url == url:
                return store.get(past.view.image), past.view.image.mime_type
        raise ImageError(f"no past run has a view at {url[:200]}: list the resources for those that are kept")

    def _kept(self) -> Iterator[tuple[PastView, ImageStore]]:
        for result in reversed(self._results):
            for view in result.views:
                if view.image in result.store:
                    yield PastView(view, result.trajectory.question, len(result.images)), result.store
        for past, store in reversed(self._shown):
            if past.view.image in store:
                yield past, store
