"""What a finished run says: answer, status, stop reason and evidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage

from cof_agent.dialects.markup import opened, plain
from cof_agent.dialects.profile import DECLINE, Profile
from cof_agent.dialects.turn import Turn
from cof_agent.images.geometry import Box, to_original
from cof_agent.images.views import View
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.state import Evidence, FocusState, Status, StopReason


def conclude(
    state: FocusState,
    turn: Turn | None,
    message: AIMessage | None,
    views: list[View],
    profile: Profile,
    config: FocusConfig,
) -> dict[str, Any]:
    """The last fields of graph state, from the policy's last `turn` and the `message` it was read from.

    A status set before (a policy that failed) stands.
    """
    if state.get("status"):
        return {"answer": None, "evidence": []}
    closing = state.get("closing")
    answer = final_answer(turn, message, closing)
    if answer is None:
        return {
            "answer": None,
            "status": Status.BUDGET.value,
            "stop_reason": closing,
            "message": f"{_limit(closing, config)}, and the policy had no answer when asked for its last one",
            "evidence": [],
        }
    if declines(answer):
        return {
            "answer": None,
            "status": Status.DECLINED.value,
            "stop_reason": closing or StopReason.DECLINED.value,
            "message": answer[len(DECLINE) :].strip(" :.-–—\n") or "the policy says that the image cannot tell",
            "evidence": [],
        }
    return {
        "answer": answer,
        "message": None,
        "status": Status.ANSWERED.value,
        "stop_reason": closing or StopReason.ANSWERED.value,
        "evidence": _evidence(state, turn, message, views, profile),
    }


def without_answer(reason: StopReason, config: FocusConfig) -> dict[str, Any]:
    """The status of a run that ends here, before its policy has answered."""
    return {
        "status": Status.BUDGET.value,
        "stop_reason": reason.value,
        "message": f"{_limit(reason, config)}, and nothing more was asked (trainer_loop)",
    }


def final_answer(turn: Turn | None, message: AIMessage | None, closing: str | None) -> str | None:
    """The answer of a turn. In a closing turn, plain text counts too."""
    answer = turn.answer if turn else None
    if answer is None and closing and message is not None:
        answer = plain(opened(message.text)) or None
    return answer


def declines(answer: str) -> bool:
    """Whether it is none: the policy says that the image cannot tell."""
    return answer.lower().startswith(DECLINE)


def _limit(closing: str | None, config: FocusConfig) -> str:
    limits = {
        StopReason.ZOOM_LIMIT: f"the limit of {config.max_zooms} zooms (max_zooms) was reached",
        StopReason.TURN_LIMIT: f"the limit of {config.max_turns} turns (max_turns) was reached",
        StopReason.TOKEN_LIMIT: f"the limit of {config.max_visual_tokens} (max_visual_tokens) tokens was reached",
        StopReason.TIME_LIMIT: f"the limit of {config.max_seconds:g} seconds (max_seconds) was reached",
        StopReason.NOT_MENDED: "the last turn had no call that can be read, and no answer that counts",
        StopReason.REFUSED_LIMIT: f"{config.max_refused} calls in a row (max_refused) were refused",
    }
    return limits[StopReason(closing)] if closing else "the run ended"


def _evidence(
    state: FocusState, turn: Turn | None, message: AIMessage | None, views: list[View], profile: Profile
) -> list[Evidence]:
    given = list(_given(message, views))
    if given:
        return given
    overview = views[0]
    (width, height), written = overview.shown, turn.pointed if turn else ()
    corners = [profile.coordinates.to_view(box, overview.shown) for box in written]
    clipped = [(max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)) for x1, y1, x2, y2 in corners]
    pointed = [(x1, y1, x2, y2) for x1, y1, x2, y2 in clipped if x1 < x2 and y1 < y2]
    if pointed:
        boxes = [to_original(corners, overview.shown, overview.box) for corners in pointed]
        return [Evidence(view=0, box=box.as_list(), source="policy") for box in boxes]
    if state["usage"]["zooms"]:
        return [Evidence(view=views[-1].index, box=views[-1].box.as_list(), source="last_view")]
    return []


def _given(message: AIMessage | None, views: list[View]) -> Iterator[Evidence]:
    """Evidence that an embedded policy sends beside its text, in pixels of the view it names."""
    for item in message.additional_kwargs.get("cof_evidence", []) if message else []:
        view = views[item["view"]]
        box: Box = to_original(item["bbox_2d"], view.shown, view.box)
        yield Evidence(view=view.index, box=box.as_list(), source=item["source"])
