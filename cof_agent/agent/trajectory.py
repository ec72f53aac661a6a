"""A run as a pure value: everything needed to show it, score it, or train on it, apart from the pixels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from cof_agent.agent.record import Record
from cof_agent.dialects.profile import Prompts
from cof_agent.dialects.thoughts import with_thought
from cof_agent.dialects.turn import Call, Turn
from cof_agent.errors import TrajectoryError
from cof_agent.images.reference import ImageRef
from cof_agent.images.views import SCHEMA, View
from cof_agent.loop.state import EvidenceRecord, Status, StopReason, UsageRecord, originals_of
from cof_agent.loop.transcript import as_message, as_question, calls_of, question_of, views_in

ID = "id"
"""The key of a trajectory's id in its line of a file: results of an evaluation name their trajectories by it."""


def _as_view(value: Any) -> Any:
    return View.from_json(value) if isinstance(value, Mapping) else value


ViewField = Annotated[View, BeforeValidator(_as_view), PlainSerializer(View.to_json)]


class CallRecord(Record):
    """One tool call of a policy turn."""

    id: str
    name: str | None
    args: dict[str, Any]
    error: str | None = None
    """Why it could not be read, if it could not."""


class TurnRecord(Record):
    """One message of the conversation."""

    role: Literal["user", "policy", "tool"]
    text: str
    """Verbatim; a policy's own words and tags."""
    views: tuple[int, ...] = ()
    """The views it shows, by index."""
    calls: tuple[CallRecord, ...] = ()
    call_id: str | None = None
    """Of a tool's turn: the call it answers."""
    refused: bool = False
    token_ids: tuple[int, ...] | None = None
    """The tokens the policy wrote, where it knows them."""
    logprobs: tuple[float, ...] | None = None
    """Their log-probabilities, natural logarithm."""


class ImageRecord(Record):
    """The original image: content hash, size in upright pixels, and where it came from."""

    sha256: str
    mime_type: str
    width: int
    height: int
    source: str
    page: int | None = None
    """Which page of the document it is, counted from 1; None for what is no page."""
    file: str | None = None
    """Absolute path of a file that is read where it lies."""
    pages: int | None = None
    """How many pages the document has, where there are several and that is known."""

    @property
    def ref(self) -> ImageRef:
        return ImageRef(self.sha256, self.mime_type, self.width, self.height, self.page, self.file)

    @model_serializer(mode="wrap")
    def _without_what_is_not_set(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The JSON of an image without pages is what it was before there were any."""
        optional = ("page", "file", "pages")
        return {name: value for name, value in write(self).items() if value is not None or name not in optional}


class Trajectory(Record):
    """One question, all that was seen and said before it in the same conversation, and how it ended."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    question: str
    image: ImageRecord
    """The image; of several the first."""
    other_images: tuple[ImageRecord, ...] = Field(default=(), exclude_if=lambda others: not others)
    """Of several, those after the first, in the order in which they were given."""
    views: tuple[ViewField, ...]
    turns: tuple[TurnRecord, ...]
    first_turn: int
    """Position in `turns` of the question; earlier ones are the conversation before it."""
    answer: str | None
    status: Status
    stop_reason: StopReason
    message: str | None
    evidence: tuple[EvidenceRecord, ...]
    usage: UsageRecord
    policy: str
    dialect: str
    tools: tuple[str, ...]
    prompts: str
    """Hash of the prompts used."""
    config: dict[str, Any]
    versions: dict[str, str]
    started: str
    finished: str

    @model_validator(mode="after")
    def _check_images(self) -> Trajectory:
        for number in [*(view.image_index for view in self.views), *(item.image_index for item in self.evidence)]:
            if number not in range(len(self.images)):
                raise ValueError(f"something of it is in image {number!r:.20}, and its images are {len(self.images)}")
        return self

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of its JSON: its times are part of it, so that no two runs share one."""
        value = self.to_json()
        for item in () if self.other_images else (*value["views"], *value["evidence"]):
            del item["image_index"]  # earlier versions had none, and a kept run must not be saved twice
        return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """All images it is about: `image_index` of a view and of evidence counts them from 0."""
        return (self.image, *self.other_images)

    @property
    def zooms(self) -> tuple[View, ...]:
        """The regions that were shown for this question."""
        shown = {index for turn in self.turns[self.first_turn :] for index in turn.views}
        return tuple(view for view in self.views if view.index in shown and not view.is_overview)

    @property
    def image_refs(self) -> tuple[ImageRef, ...]:
        """Every image it refers to: the originals and each view."""
        return (*(image.ref for image in self.images), *(view.image for view in self.views))

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, value: Any) -> Trajectory:
        """Rebuild from `to_json`, or from a line of a file, which has its `id` as well.

        Raises TrajectoryError for another schema or any other value.
        """
        if not isinstance(value, Mapping):
            raise TrajectoryError(f"a trajectory is a JSON object, not {type(value).__name__}")
        if value.get("schema") != SCHEMA:
            raise TrajectoryError(f"a trajectory of schema {value.get('schema')!r}; this version reads schema {SCHEMA}")
        try:
            return cls.model_validate({name: held for name, held in value.items() if name != ID})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise TrajectoryError(f"not a trajectory: {where}: {first['msg']}") from error

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Trajectory:
        """The trajectory of the newest question in graph state, for example of any checkpointed run.

        Raises TrajectoryError for a run that has not ended.
        """
        if not state.get("status") or not state.get("finished"):
            raise TrajectoryError("the run has not ended: resume it before taking its trajectory")
        messages: list[AnyMessage] = state["messages"]
        images = [
            {name: held for name, held in image.items() if name in ImageRecord.model_fields}
            for image in originals_of(state)
        ]
        question = question_of(messages[state["first_message"]])
        names = ("answer", "status", "stop_reason", "message", "evidence", "usage", "finished")
        return cls.model_validate(
            {name: state.get(name) for name in names}
            | state["run"]
            | {
                "schema": SCHEMA,
                "question": question,
                "image": images[0],
                "other_images": images[1:],
                "views": state["views"],
                "turns": _turns(messages),
                "first_turn": state["first_message"],
            }
        )


def messages_of(trajectory: Trajectory, prompts: Prompts) -> list[AnyMessage]:
    """The messages of graph state that a trajectory was taken from, and from which every prompt is rendered.

    They have no ids. The words of an unreadable call are in the text of its turn alone, as is a thought that a server
    took out of it. Of an earlier question the schema is part of the words. `prompts` are those of the run: they tell
    what the loop itself said. Raises TrajectoryError where a person gave the policy advice after the question.
    """
    names = {call.id: call.name for turn in trajectory.turns for call in turn.calls}
    return [_message(trajectory, number, names, prompts) for number in range(len(trajectory.turns))]


def _message(trajectory: Trajectory, number: int, names: Mapping[str, str | None], prompts: Prompts) -> AnyMessage:
    turn = trajectory.turns[number]
    if turn.role == "policy":
        return _policy_message(turn)
    views = [trajectory.views[index] for index in turn.views]
    shown = [view.block for view in views]
    words = [{"type": "text", "text": turn.text}] if turn.text else []
    if turn.role == "tool":
        call_id = turn.call_id or ""
        return ToolMessage(
            [*shown, *words] if shown else turn.text,
            tool_call_id=call_id,
            name=names.get(call_id),
            artifact=views[0].to_json() if views else None,
            status="error" if turn.refused else "success",
        )
    if number != trajectory.first_turn and not views and _is_ours(turn.text, prompts):
        return HumanMessage(turn.text)
    if number > trajectory.first_turn:
        raise TrajectoryError("a person gave the policy advice after the question")
    question = trajectory.question if number == trajectory.first_turn else turn.text
    return as_question([*shown, *words], views, question)


def _policy_message(turn: TurnRecord) -> AIMessage:
    calls = tuple(Call(call.name or "", call.args, error=call.error, id=call.id) for call in turn.calls)
    known = {"token_ids": turn.token_ids, "logprobs": turn.logprobs}
    metadata = {name: list(values) for name, values in known.items() if values is not None}
    message = as_message(AIMessage(turn.text, response_metadata=metadata), Turn(calls=calls), ())
    return message.model_copy(update={"id": None})


def _is_ours(text: str, prompts: Prompts) -> bool:
    """Whether it is the loop itself that said this, rather than a person."""
    said = {prompts.closing, prompts.format_error, prompts.look_first}
    return text in said or text.startswith(f"{prompts.misfit} ")


def _turns(messages: list[AnyMessage]) -> list[TurnRecord]:
    turns = []
    for message in messages:
        views = tuple(view.index for view in views_in(message))
        if isinstance(message, AIMessage):
            turns.append(_policy_turn(message))
        elif isinstance(message, ToolMessage):
            refused = message.status == "error"
            turns.append(
                TurnRecord(role="tool", text=message.text, views=views, call_id=message.tool_call_id, refused=refused)
            )
        else:
            turns.append(TurnRecord(role="user", text=message.text, views=views))
    return turns


def _policy_turn(message: AIMessage) -> TurnRecord:
    calls = [
        CallRecord(id=call["id"] or "", name=call["name"], args=call["args"])
        if call["type"] == "tool_call"
        else CallRecord(id=call["id"] or "", name=call["name"], args={}, error=call["error"])
        for call in calls_of(message)
    ]
    known = message.response_metadata
    return TurnRecord(
        role="policy",
        text=with_thought(message),
        calls=tuple(calls),
        token_ids=known.get("token_ids"),
        logprobs=known.get("logprobs"),
    )
