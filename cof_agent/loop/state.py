"""The graph's state: plain JSON values and references, never pixels."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from pydantic import BaseModel
from typing_extensions import TypedDict  # pydantic makes JSON schemas of no other before Python 3.12


class Status(StrEnum):
    """How a run ended."""

    ANSWERED = "answered"
    DECLINED = "declined"
    """The policy said that the image cannot tell."""
    BUDGET = "budget"
    """A limit was reached and the closing turn brought no answer."""
    FAILED = "failed"


class StopReason(StrEnum):
    """Why a run ended."""

    ANSWERED = "answered"
    DECLINED = "declined"
    ZOOM_LIMIT = "zoom_limit"
    TURN_LIMIT = "turn_limit"
    TOKEN_LIMIT = "token_limit"
    TIME_LIMIT = "time_limit"
    REFUSED_LIMIT = "refused_limit"
    """Too many refused calls in a row."""
    NOT_MENDED = "not_mended"
    """The last turn had neither a readable call nor an answer that counts, and `trainer_loop` ended the run there."""
    ANSWER_MISFIT = "answer_misfit"
    """The answer did not fit the schema that it was to fit, twice."""
    CONTEXT_LIMIT = "context_limit"
    """The endpoint took no prompt with one more view: it was too long, or had too many images."""
    REPLY_CUT = "reply_cut"
    """The last reply broke off at the limit of its length, before it had an answer."""
    REPLY_FILTERED = "reply_filtered"
    """The server withheld the last reply."""
    POLICY_ERROR = "policy_error"
    """The policy itself failed; the result's `message` has its words."""
    IMAGE_ERROR = "image_error"
    """The image could not be opened (in batches, where it is not raised)."""
    ERROR = "error"
    """Anything else that is raised when one question is asked (in batches)."""


class UsageRecord(BaseModel, frozen=True, extra="forbid"):
    """What one question cost."""

    policy_calls: int
    zooms: int
    """Regions shown, whichever tool made them."""
    refused: int
    """Turns and calls that the policy could have mended: unreadable ones and those with bad arguments."""
    visual_tokens: int
    """Visual tokens of the views made for the question."""
    prompt_tokens: int
    completion_tokens: int
    """As the policy reports them; 0 when it does not."""
    seconds: float


class EvidenceRecord(BaseModel, frozen=True, extra="forbid"):
    """A region that supports the answer."""

    view: int
    box: tuple[int, int, int, int]
    """x1, y1, x2, y2 in upright pixels of the original image that `image_index` names."""
    source: str
    """`policy` (it pointed), `reader` (the text's own box), `page_text` (where the page's own text has the answer) or
    `last_view` (only what was looked at last: no proof)."""
    image_index: int = 0
    """Which of the question's images the box is in, counted from 0."""


if TYPE_CHECKING:
    Usage: TypeAlias = dict[str, Any]
    Evidence: TypeAlias = dict[str, Any]
else:  # state holds the JSON of these records; LangGraph tells the fields of a TypedDict in schemas, of a dict none

    def _json_of(record: type[BaseModel], name: str) -> type:
        json = TypedDict(name, {field: info.annotation for field, info in record.model_fields.items()})
        json.__doc__ = record.__doc__
        return json

    Usage, Evidence = _json_of(UsageRecord, "Usage"), _json_of(EvidenceRecord, "Evidence")


class RunInfo(TypedDict):
    """Under which settings the question is answered."""

    policy: str
    dialect: str
    tools: list[str]
    prompts: str
    """Hash of the prompts used."""
    config: dict[str, Any]
    """The limits, as `FocusConfig.model_dump()`."""
    versions: dict[str, str]
    started: str
    """ISO 8601, UTC."""


class FocusInput(TypedDict, total=False):
    """What a caller gives. Without `image`, the question goes to the conversation so far."""

    image: str | dict[str, Any] | list[str | dict[str, Any]] | None
    """A path, a URL, or an image reference (`ImageRef.to_json()`) that is in the graph's store; or a list of these."""
    question: str


class FocusOutput(TypedDict, total=False):
    """What a caller gets."""

    answer: str | None
    status: str
    stop_reason: str
    message: str | None
    """Why there is no answer: the policy's reason for declining, or what failed."""
    evidence: list[Evidence]
    usage: Usage
    original: dict[str, Any]
    """The first image's reference, and where it came from (`source`)."""
    originals: list[dict[str, Any]]
    """The same of all images of the question, in order. Runs of earlier versions have `original` alone."""
    views: list[dict[str, Any]]
    """Every view of the conversation, as `View.to_json()`, once the run has ended. Until then see `messages`."""
    run: RunInfo
    finished: str | None
    """None until it has ended."""
    messages: Annotated[list[AnyMessage], add_messages]
    first_message: int
    """Position in `messages` of the question that was answered."""


class FocusState(FocusInput, FocusOutput, total=False):
    """Everything a checkpoint holds."""

    refused_in_row: int
    misfit: str | None
    """What was wrong with an answer that did not fit its schema, once the policy has been told."""
    closing: str | None
    """The stop reason whose limit was reached, once the policy is to be asked for its last answer."""
    unshown: list[int] | None
    """The views that prompts leave out, because the endpoint took no prompt with them."""
    granted: int | None
    """How often a person has let the policy try again, each time with the limits granted once more."""


def originals_of(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The references of the images of a conversation, in order; empty before its first question."""
    first = state.get("original")
    return list(state.get("originals") or ([first] if first else []))


def no_usage() -> Usage:
    return dict.fromkeys(UsageRecord.model_fields, 0) | {"seconds": 0.0}


def spent(usage: Usage, **more: float) -> Usage:
    """`usage` with `more` added, field by field."""
    return usage | {name: usage[name] + value for name, value in more.items()}


def changed(state: FocusState, **values: Any) -> dict[str, Any]:
    """The values that differ from those in `state`: checkpointers store each one that is written."""
    return {name: value for name, value in values.items() if value != state.get(name)}
