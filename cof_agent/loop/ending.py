"""How a run ends: answer, status, stop reason and evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from cof_agent.dialects.declining import decline_of
from cof_agent.dialects.finish import Finish, finish_of, reason_of
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.tools import ZOOM
from cof_agent.dialects.turn import Turn
from cof_agent.errors import CofError
from cof_agent.images.geometry import Box, to_original
from cof_agent.images.views import View
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.state import Evidence, Status, StopReason
from cof_agent.loop.transcript import json_safe
from cof_agent.policies.deadline import OutOfTimeError
from cof_agent.policies.endpoint_errors import PromptTooLongError


@dataclass(frozen=True, slots=True)
class Ending:
    """What the result of a run will say."""

    status: Status
    stop_reason: StopReason
    message: str | None = None
    """Why there is no answer."""
    answer: str | None = None
    evidence: tuple[Evidence, ...] = ()

    def as_state(self) -> dict[str, Any]:
        """The fields of graph state that say it."""
        return {
            "status": self.status.value,
            "stop_reason": self.stop_reason.value,
            "message": self.message,
            "answer": self.answer,
            "evidence": list(self.evidence),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Ending | None:
        """The ending that graph state holds; None while the run has none."""
        if not state.get("status"):
            return None
        status, reason = Status(state["status"]), StopReason(state["stop_reason"])
        return cls(status, reason, state.get("message"), state.get("answer"), tuple(state.get("evidence") or ()))


def conclude(
    turn: Turn | None,
    message: AIMessage | None,
    *,
    closing: str | None,
    zooms: int,
    views: Sequence[View],
    profile: Profile,
    limits: FocusConfig,
    unshown: Collection[int] = (),
) -> Ending:
    """The ending that the policy's last `turn` gives a run, read from its `message`.

    `closing` is the limit that was reached, if any; `zooms` counts the regions shown for the question. The policy never
    saw the views numbered in `unshown`.
    """
    answer = final_answer(turn, closing)
    reason = StopReason(closing) if closing else None
    if answer is None:
        return _unanswered(turn, message, reason, limits)
    if (why := decline_of(answer)) is not None:
        why = why or "the policy says that the image cannot tell"
        return Ending(Status.DECLINED, reason or StopReason.DECLINED, why)
    evidence = _evidence(turn, message, views, profile, zooms, unshown)
    return Ending(Status.ANSWERED, reason or StopReason.ANSWERED, None, answer, tuple(evidence))


def without_answer(reason: StopReason, limits: FocusConfig) -> Ending:
    """A run that ends here, before its policy has answered."""
    return Ending(Status.BUDGET, reason, f"{_limit(reason, limits)}, and nothing more was asked (trainer_loop)")


def of_failure(error: Exception, closing: str | None, limits: FocusConfig, images: int = 1) -> Ending:
    """A run about that many `images` whose policy failed, or did not give its last answer in time."""
    if isinstance(error, OutOfTimeError) and closing:
        why = f"{error}: the limit of {limits.max_seconds:g} seconds (max_seconds) was reached"
        return Ending(Status.BUDGET, StopReason.TIME_LIMIT, why)  # whichever limit came first: more time would do
    if isinstance(error, PromptTooLongError):
        why = f"{error}: there is no region left to leave out; use an endpoint with a longer context, or " + (
            "fewer images, or a profile with smaller overviews" if images > 1 else "a profile with a smaller overview"
        )
        return Ending(Status.FAILED, StopReason.CONTEXT_LIMIT, why)
    why = str(error) if isinstance(error, CofError) else f"{type(error).__name__}: {error}"
    return Ending(Status.FAILED, StopReason.POLICY_ERROR, why)


def of_no_schema(schema: type[BaseModel], answer: str, wrong: str, before: str) -> Ending:
    """A run whose answer did not fit its schema twice: what is `wrong`, and what was `before`."""
    why = (
        f"the answer does not fit {schema.__name__}: {wrong} (before it was asked for once more: {before}); "
        f"the policy's last answer was {answer}"
    )
    return Ending(Status.FAILED, StopReason.ANSWER_MISFIT, json_safe(why))


def final_answer(turn: Turn | None, closing: str | None) -> str | None:
    """The answer of a turn. In a closing turn, plain text counts too, unless the turn has calls or cannot be read."""
    if turn is None or turn.answer is not None:
        return turn.answer if turn else None
    return turn.said if closing and not (turn.calls or turn.fault) else None


def _unanswered(turn: Turn | None, message: AIMessage | None, reason: StopReason | None, limits: FocusConfig) -> Ending:
    why = f"{_limit(reason, limits)}, and the policy had no answer when asked for its last one"
    if turn is None or message is None or not turn.fault:
        return Ending(Status.BUDGET, reason or StopReason.NOT_MENDED, why)
    said = reason_of(message.response_metadata)
    why += f": {turn.fault}" + (f" (the server's reason: {said[:80]})" if said else "")
    ended = {Finish.CUT: StopReason.REPLY_CUT, Finish.FILTERED: StopReason.REPLY_FILTERED}.get(finish_of(message))
    if ended is StopReason.REPLY_CUT:
        why += "; give the policy more room for a reply (its max_tokens or max_new_tokens)"
    return Ending(Status.BUDGET, ended or reason or StopReason.NOT_MENDED, json_safe(why))


def _limit(reason: StopReason | None, limits: FocusConfig) -> str:
    words = {
        StopReason.ZOOM_LIMIT: f"the limit of {limits.max_zooms} zooms (max_zooms) was reached",
        StopReason.TURN_LIMIT: f"the limit of {limits.max_turns} turns (max_turns) was reached",
        StopReason.TOKEN_LIMIT: f"the limit of {limits.max_visual_tokens} (max_visual_tokens) tokens was reached",
        StopReason.CONTEXT_LIMIT: "the endpoint takes no longer prompt",
        StopReason.TIME_LIMIT: f"the limit of {limits.max_seconds:g} seconds (max_seconds) was reached",
        StopReason.NOT_MENDED: "the last turn had no call that can be read, and no answer that counts",
        StopReason.REFUSED_LIMIT: f"{limits.max_refused} calls in a row (max_refused) were refused",
    }
    return words[reason] if reason else "the run ended"


def _evidence(
    turn: Turn | None,
    message: AIMessage | None,
    views: Sequence[View],
    profile: Profile,
    zooms: int,
    unshown: Collection[int],
) -> list[Evidence]:
    given = list(_given(message, views))
    if given:
        return given
    seen = [view for view in views if not view.is_overview][-zooms:] if zooms else []
    return [*_pointed(turn, views, seen, profile)] or [*_last(view for view in seen if view.index not in unshown)]


def _pointed(turn: Turn | None, views: Sequence[View], seen: Sequence[View], profile: Profile) -> Iterator[Evidence]:
    """The boxes that an answer points to, each in the view that it names.

    A box without a name is in the overview of the one image, or of the image that all regions `seen` for the question
    lie in. Else nobody knows which image is meant, and the box is no evidence. Neither is one whose name means no view
    that a call could name. With one image a name counts only where calls have one.
    """
    images = sum(view.is_overview for view in views)
    by_view = profile.any_view or (bool(profile.tools) and ZOOM not in profile.tools)
    nameable = len(views) if by_view and profile.counted == "views" else images
    likely = {view.image_index for view in seen} if images > 1 else {0}
    known = likely.pop() if len(likely) == 1 else None
    written = turn.pointed if turn else ()
    named = turn.pointed_in if turn and turn.pointed_in else (None,) * len(written)
    for box, given in zip(written, named, strict=True):
        at = known if given is None or (images == 1 and not by_view) else given
        if at is None or not 0 <= at < nameable:
            continue
        view = views[at]
        (width, height), (x1, y1, x2, y2) = view.shown, profile.coordinates.to_view(box, view.shown)
        corners = max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)
        if corners[0] < corners[2] and corners[1] < corners[3]:
            yield _evidence_in(view, to_original(corners, view.shown, view.box), "policy")


def _last(seen: Iterable[View]) -> Iterator[Evidence]:
    for last in [*seen][-1:]:
        yield _evidence_in(last, last.box, "last_view")


def _evidence_in(view: View, box: Box, source: str) -> Evidence:
    return Evidence(view=view.index, box=box.as_list(), source=source, image_index=view.image_index)


def _given(message: AIMessage | None, views: Sequence[View]) -> Iterator[Evidence]:
    """Evidence that an embedded policy sends beside its text, in pixels of the view it names."""
    for item in message.additional_kwargs.get("cof_evidence", []) if message else []:
        view = views[item["view"]]
        yield _evidence_in(view, to_original(item["bbox_2d"], view.shown, view.box), item["source"])
