"""The runs that an MCP server answered, for clients that want to see what was seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cof_agent.agent.result import FocusResult
from cof_agent.agent.trajectory_file import IMAGES
from cof_agent.errors import ImageError
from cof_agent.images.store import DirectoryStore
from cof_agent.images.views import View


@dataclass(frozen=True, slots=True)
class PastView:
    """A view and the question it was made for."""

    view: View
    question: str

    @property
    def name(self) -> str:
        """Short, without spaces."""
        return f"view-{self.view.index}-{self.view.image.sha256[:8]}"


class PastRuns:
    """The newest `keep` results. Their views are named by `ImageRef.url`; those that a store has dropped are gone."""

    def __init__(self, keep: int, earlier: Iterable[FocusResult] = ()) -> None:
        self._results = deque(earlier, maxlen=keep)

    def add(self, result: FocusResult) -> None:
        if result.saved is not None:  # the files outlive what a store keeps in memory
            result = replace(result, store=DirectoryStore(result.saved.parent / IMAGES))
        self._results.append(result)

    @property
    def views(self) -> list[PastView]:
        """Each image once, the newest run first."""
        found: dict[str, PastView] = {}
        for result in reversed(self._results):
            for view in result.views:
                if view.image in result.store:
                    found.setdefault(view.image.url, PastView(view, result.trajectory.question))
        return list(found.values())

    def image(self, url: str) -> tuple[bytes, str]:
        """Encoded bytes and MIME type of a view. Raises ImageError when no past run showed it, or all dropped it."""
        for result in reversed(self._results):
            for view in result.views:
                if view.image.url == url and view.image in result.store:
                    return result.store.get(view.image), view.image.mime_type
        raise ImageError(f"no past run has a view at {url[:200]}: list the resources for those that are kept")
