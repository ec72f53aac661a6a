"""A policy that replays given turns: for tests, examples and docs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import BaseModel, ConfigDict, ValidationError

from cof_agent.dialects.profile import Profile
from cof_agent.dialects.registry import parse_profile
from cof_agent.errors import ConfigError, PolicyError
from cof_agent.files import parse_json


class ScriptedModel(BaseChatModel):
    """Says the n-th turn of its script when a conversation has n policy turns so far.

    Stateless, so one model serves any number of conversations, and a resumed one goes on where it was.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    turns: list[str | AIMessage]
    """Text in some dialect, or a message with native tool calls."""

    @property
    def _llm_type(self) -> str:
        return "cof-script"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        position = sum(isinstance(message, AIMessage) for message in messages)
        if position >= len(self.turns):
            raise PolicyError(
                f"the script has {len(self.turns)} turns and turn {position + 1} was asked for: add turns"
            )
        turn = self.turns[position]
        message = AIMessage(turn) if isinstance(turn, str) else turn.model_copy()
        return ChatResult(generations=[ChatGeneration(message=message)])

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """The tools are noted; the script decides what is called."""
        return self.bind(tools=tools, **kwargs)


def load_script(path: str | Path) -> tuple[ScriptedModel, Profile]:
    """Read a script: a JSON list of turns, or an object with `turns` and an optional `profile`.

    A turn is its text, or an object with `content` and `tool_calls` as LangChain's AIMessage has them.
    Raises ConfigError that names the file for anything else.
    """
    try:
        value = parse_json(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"script {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"script {path} is not JSON: {error}") from error
    given = value.get("turns") if isinstance(value, dict) else value
    try:
        turns = [_turn(turn) for turn in given] if isinstance(given, list) else None
    except ValidationError:
        turns = None
    if turns is None:
        raise ConfigError(
            f"script {path} needs a list of turns, as the file itself or as its `turns`: each is a string, or "
            '{"content": "…", "tool_calls": [{"name": "…", "args": {…}, "id": "…"}]}'
        )
    profile = value.get("profile", {}) if isinstance(value, dict) else {}
    unknown = sorted(value.keys() - {"turns", "profile"}) if isinstance(value, dict) else []
    if unknown:
        raise ConfigError(f"script {path} has unknown keys: {', '.join(unknown)}; it takes `turns` and `profile`")
    return ScriptedModel(turns=turns), parse_profile(profile, f"the profile in script {path}")


class _Calls(BaseModel):
    """A turn with native tool calls."""

    model_config = ConfigDict(extra="forbid")

    content: str = ""
    tool_calls: list[ToolCall]


def _turn(value: Any) -> str | AIMessage:
    if isinstance(value, str):
        return value
    turn = _Calls.model_validate(value)
    return AIMessage(turn.content, tool_calls=turn.tool_calls)
