"""How a question ended, and what happened on the way."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cof_agent.agent.ask import Images
from cof_agent.agent.trajectory import ImageRecord, Trajectory
from cof_agent.errors import ImageError
from cof_agent.images.display_name import show_source
from cof_agent.images.store import ImageStore
from cof_agent.images.views import View
from cof_agent.loop.overview import is_list
from cof_agent.loop.state import EvidenceRecord, Status, StopReason, UsageRecord

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class FocusResult:
    """How one question ended. Everything about it derives from its `trajectory`."""

    trajectory: Trajectory
    store: ImageStore
    """Holds the original and the views."""
    saved: Path | None = None
    """The file its trajectory was appended to."""
    save_error: str | None = None
    """Why the trajectory could not be saved although it was to be."""
    thread_id: str | None = None
    """The conversation it belongs to, where a checkpointer keeps one."""
    parsed: Any = None
    """The answer as a value of the schema that it was to fit; None without a schema or an answer."""

    @property
    def answer(self) -> str | None:
        """The policy's answer; None unless `status` is answered."""
        return self.trajectory.answer

    @property
    def status(self) -> Status:
        return self.trajectory.status

    @property
    def stop_reason(self) -> StopReason:
        return self.trajectory.stop_reason

    @property
    def message(self) -> str | None:
        """Why there is no answer."""
        return self.trajectory.message

    @property
    def reply(self) -> str:
        """What to say to whoever asked: the answer, else why there is none."""
        return self.answer if self.answer is not None else _no_answer(self.status, self.message)

    @property
    def views(self) -> tuple[View, ...]:
        return self.trajectory.views

    @property
    def evidence(self) -> tuple[EvidenceRecord, ...]:
        return self.trajectory.evidence

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """The original images of the question, by the `image_index` of views and evidence."""
        return self.trajectory.images

    @property
    def usage(self) -> UsageRecord:
        return self.trajectory.usage

    def view_image(self, index: int) -> Image:
        """View number `index` as the policy saw it, RGB, `views[index].shown` pixels."""
        from PIL import Image

        return Image.open(io.BytesIO(self.store.get(self.views[index].image))).convert("RGB")

    def to_json(self) -> dict[str, Any]:
        """What `cof-agent ask --json` prints."""
        run = self.trajectory
        return {
            "answer": run.answer,
            "status": run.status.value,
            "stop_reason": run.stop_reason.value,
            "message": run.message,
            "image": _described(run.image),
            "images": [*map(_described, run.images)],
            "views": [
                {
                    "index": view.index,
                    "kind": view.kind,
                    "box": view.box.as_list(),
                    "shown": list(view.shown),
                    "label": view.label,
                    "image_index": view.image_index,
                }
                for view in run.views
            ],
            "evidence": [item.model_dump(mode="json") for item in run.evidence],
            "usage": run.usage.model_dump(),
            "policy": run.policy,
            "dialect": run.dialect,
            "trajectory": str(self.saved) if self.saved else None,
        }


@dataclass(frozen=True, slots=True)
class FailedQuestion:
    """A question of a batch that raised an error: there is no trajectory, and nothing to see. Else as `FocusResult`."""

    image: Images | None = field(repr=False)  # whose address may hold a password
    question: str
    error: Exception
    """What `ask` would have raised."""
    policy: str

    answer = None
    parsed = None
    status = Status.FAILED
    views = ()
    evidence = ()
    trajectory = None
    usage = None
    saved = None
    save_error = None
    thread_id = None

    @property
    def stop_reason(self) -> StopReason:
        return StopReason.IMAGE_ERROR if isinstance(self.error, ImageError) else StopReason.ERROR

    @property
    def message(self) -> str:
        """What went wrong."""
        return str(self.error) or type(self.error).__name__

    @property
    def reply(self) -> str:
        """What to say to whoever asked."""
        return _no_answer(self.status, self.message)

    def to_json(self) -> dict[str, Any]:
        """The keys of `FocusResult.to_json`; what was never known is null."""
        given: Any = self.image if is_list(self.image) else [self.image]
        images = [_described_as(image) for image in given]
        return {
            "answer": None,
            "status": self.status.value,
            "stop_reason": self.stop_reason.value,
            "message": self.message,
            "image": images[0] if images else _described_as(None),
            "images": images,
            "views": [],
            "evidence": [],
            "usage": None,
            "policy": self.policy,
            "dialect": None,
            "trajectory": None,
        }


def _described(image: ImageRecord) -> dict[str, Any]:
    """What it is, and where it is a page, which one and of how many."""
    pages = {name: number for name in ("page", "pages") if (number := getattr(image, name)) is not None}
    return {"source": image.source, "width": image.width, "height": image.height} | pages


def _described_as(image: object) -> dict[str, Any]:
    """The same of an image that could not be opened."""
    return {"source": _name(image), "width": None, "height": None}


def _no_answer(status: Status, why: str | None) -> str:
    return f"No answer ({status.value}): {why}"


def _name(image: object) -> str | None:
    """A short name of an image that could not be opened, without passwords."""
    if not isinstance(image, str | os.PathLike):
        return None if image is None else type(image).__name__
    return show_source(os.fspath(image))
