"""A trajectory as the messages that the policy was sent, made by the code that sent them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from cof_agent.agent.trajectory import Trajectory, TurnRecord
from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.dialects.registry import get_dialect
from cof_agent.errors import TrajectoryError
from cof_agent.learning.exports.conversation import Message, Part, Picture, Role
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.looking import CHOSEN, refusal
from cof_agent.loop.prompt import forget_regions
from cof_agent.loop.transcript import as_question

_ROLES: Mapping[str, Role] = {"system": "system", "human": "user", "ai": "assistant"}


def sent(trajectory: Trajectory, profile: Profile, images: Mapping[str, Path]) -> tuple[Message, ...]:
    """All that the policy was sent in its last call, and what it said then.

    `images` are the files of views by the hash of their content. Raises TrajectoryError, saying why, for a trajectory
    that is no conversation in text, of which the policy no longer saw all, in which a person had a say, or whose images
    are gone.
    """
    if any(view.label == CHOSEN for view in trajectory.views):
        raise TrajectoryError("a person chose a region instead of the one that the policy asked for")
    state = _state(trajectory, profile.prompts)
    kept = forget_regions(state, trajectory.views, _limits(trajectory).max_conversation_tokens)
    if kept != state:
        raise TrajectoryError("regions were taken out of the conversation, and earlier turns speak of them")
    return _rendered(trajectory, profile, state, images)


def opening(trajectory: Trajectory, profile: Profile, images: Mapping[str, Path]) -> tuple[Message, ...]:
    """What the policy was sent in its first call. Raises TrajectoryError as `sent` does."""
    if trajectory.first_turn:
        raise TrajectoryError("the question goes on with an earlier conversation")
    return _rendered(trajectory, profile, _state(trajectory, profile.prompts)[:1], images)


def unwritten(dialect: str) -> str | None:
    """Why nothing can be learnt from what is said in a dialect; None where calls are text."""
    if not get_dialect(dialect).binds_tools:
        return None
    return (
        f"calls of the dialect {dialect} are the server's own and no text to learn: let the policy use a dialect that "
        "writes them, such as cof"
    )


def _limits(trajectory: Trajectory) -> FocusConfig:
    return FocusConfig.parse(trajectory.config)


def _rendered(
    trajectory: Trajectory, profile: Profile, state: list[AnyMessage], images: Mapping[str, Path]
) -> tuple[Message, ...]:
    if why := unwritten(trajectory.dialect):
        raise TrajectoryError(why)
    files: dict[str, Path] = {}
    for view in trajectory.views:
        if view.image.sha256 in images:
            files[view.image.url] = images[view.image.sha256]
    offered = _limits(trajectory).max_zooms > 0 and bool(trajectory.tools)
    sent = get_dialect(trajectory.dialect).render(state, profile, tools=offered)
    return tuple(_message(message, files) for message in sent)


def _message(message: BaseMessage, files: Mapping[str, Path]) -> Message:
    content = message.content
    blocks: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return Message(_ROLES[message.type], tuple(_part(block, files) for block in blocks))


def _part(block: Any, files: Mapping[str, Path]) -> Part:
    if block["type"] == "text":
        return str(block["text"])
    file = files.get(block["url"])
    if file is None:
        raise TrajectoryError(f"{block['url']} is not among the images beside it")
    return Picture(file, file.suffix)


def _state(trajectory: Trajectory, prompts: Prompts) -> list[AnyMessage]:
    """The messages of graph state, from which every prompt is rendered."""
    names = {call.id: call.name for turn in trajectory.turns for call in turn.calls}
    return [
        _restored(trajectory, turn, number, names.get(turn.call_id or ""), prompts)
        for number, turn in enumerate(trajectory.turns)
    ]


def _restored(trajectory: Trajectory, turn: TurnRecord, number: int, tool: str | None, prompts: Prompts) -> AnyMessage:
    view = trajectory.views[turn.views[0]] if turn.views else None
    words = [{"type": "text", "text": turn.text}] if turn.text else []
    if turn.role == "policy":
        good = [tool_call(name=call.name or "", args=call.args, id=call.id) for call in turn.calls if not call.error]
        bad = [
            invalid_tool_call(name=call.name, args="", id=call.id, error=call.error)
            for call in turn.calls
            if call.error
        ]
        return AIMessage(turn.text, tool_calls=good, invalid_tool_calls=bad)
    if turn.role == "tool":
        if view:
            content: list[Any] = [view.block, *words]
            return ToolMessage(content, tool_call_id=turn.call_id or "", name=tool, artifact=view.to_json())
        message = refusal(turn.call_id, tool, "")
        return message.model_copy(update={"content": turn.text})
    if number != trajectory.first_turn and not view and _is_ours(turn.text, prompts):
        return HumanMessage(turn.text)
    if number > trajectory.first_turn:
        raise TrajectoryError("a person gave the policy advice after the question")
    return as_question([*([view.block] if view else []), *words], view, turn.text)


def _is_ours(text: str, prompts: Prompts) -> bool:
    """Whether it is the loop itself that said this, rather than a person."""
    said = {prompts.closing, prompts.format_error, prompts.look_first}
    return text in said or text.startswith(f"{prompts.misfit} ")
