"""A trajectory as the messages that the policy was sent, made by the code that sent them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage

from cof_agent.agent.trajectory import Trajectory, messages_of
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import get_dialect, unwritten
from cof_agent.errors import TrajectoryError
from cof_agent.learning.exports.conversation import Message, Part, Picture, Role
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.looking import CHOSEN
from cof_agent.loop.prompt import forget_regions

_ROLES: Mapping[str, Role] = {"system": "system", "human": "user", "ai": "assistant"}


def sent(trajectory: Trajectory, profile: Profile, images: Mapping[str, Path]) -> tuple[Message, ...]:
    """All that the policy was sent in its last call, and what it said then.

    `images` are the files of views by the hash of their content. Raises TrajectoryError, saying why, for a trajectory
    that is no conversation in text, of which the policy no longer saw all, in which a person had a say, or whose images
    are gone.
    """
    if any(view.label == CHOSEN for view in trajectory.views):
        raise TrajectoryError("a person chose a region instead of the one that the policy asked for")
    state = messages_of(trajectory, profile.prompts)
    kept = forget_regions(state, trajectory.views, _limits(trajectory).max_conversation_tokens)
    if kept != state:
        raise TrajectoryError("regions were taken out of the conversation, and earlier turns speak of them")
    return _rendered(trajectory, profile, state, images)


def opening(trajectory: Trajectory, profile: Profile, images: Mapping[str, Path]) -> tuple[Message, ...]:
    """What the policy was sent in its first call. Raises TrajectoryError as `sent` does."""
    if trajectory.first_turn:
        raise TrajectoryError("the question goes on with an earlier conversation")
    return _rendered(trajectory, profile, messages_of(trajectory, profile.prompts)[:1], images)


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
