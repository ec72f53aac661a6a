"""Provider-native tool calls, for any chat model that binds tools.

Many endpoints accept no image in a tool message, so the text of an observation stays there and the region follows in
a user message; with the profile's `tool_images` the region stands in the tool message. `<think>` and `<answer>` are
read where a model writes them; without them plain text is the answer.

What a model thought stays in the conversation. Thoughts in the text stay where they are. Content in blocks, such as
signed thoughts, goes back as it came. A thought that came apart from plain text (`reasoning_content`) goes back as
`<think>` before that text, since most adapters would drop it. A server that drops all text beside tool calls, such as
`transformers serve`, loses the thought all the same: give such a policy a dialect that writes calls as text.

Where a question has several images, the zoom tool has the argument `image` as well, counted from 0 and required. With
the profile's `any_view` the argument `view` names images and regions alike. With one image the tools have neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
)

from cof_agent.dialects.finish import Finish, finish_of
from cof_agent.dialects.json_calls import UNREADABLE, read_calls
from cof_agent.dialects.lenient_json import object_of
from cof_agent.dialects.markup import MAX_CALLS, TOO_MANY, Markup, opened, plain, pointed
from cof_agent.dialects.profile import Profile
from cof_agent.dialects.reading import ReadingDialect, by_ending
from cof_agent.dialects.thoughts import KEY, all_thought, thought_beside
from cof_agent.dialects.tools import IMAGE, VIEW
from cof_agent.dialects.turn import Call, Turn
from cof_agent.dialects.user_turns import blocks_of

_MARKUP = Markup("tool_call")
_OTHERWISE_SENT = {"tool_calls", "function_call", "cof_evidence"}
_HOW_TO_READ = {"output_version", "model_provider"}
"""Keys of a response's metadata by which adapters know their own content blocks."""


class NativeDialect(ReadingDialect):
    """See the module."""

    binds_tools = True
    image_names = (IMAGE, VIEW)

    def names_images(self, profile: Profile) -> bool:
        """Its tools have an argument for that where there are several images."""
        return True

    def read(self, text: str) -> Turn:
        """A server without a parser for tool calls hands them on as text."""
        text = opened(text)
        turn = _MARKUP.read(text, read_calls)
        if turn.calls or turn.answer or turn.fault:
            return turn
        answer = plain(text) or None
        return replace(turn, answer=answer, pointed=tuple(pointed(answer or "")))

    def parse(self, message: AIMessage) -> Turn:
        thought = "\n".join(_apart(message))
        if inside := all_thought(message):
            turn = self.read_text(inside)
            turn = turn if turn.calls or turn.closed else Turn(thought)
            return by_ending(turn, message)
        turn = self.read_text(message.text)
        turn = replace(turn, thought="\n".join(filter(None, [thought, turn.thought])))
        calls = _providers(message)
        if len(calls) > MAX_CALLS:
            return Turn(turn.thought, fault=TOO_MANY)
        if calls:
            tagged = turn.answer if turn.closed is not None else None
            turn = replace(turn, calls=calls, answer=tagged, fault=None, said=None)
        return by_ending(turn, message)

    def render(self, messages: Sequence[AnyMessage], profile: Profile, *, tools: bool) -> list[BaseMessage]:
        rendered: list[BaseMessage] = [SystemMessage(profile.prompts.task if tools else profile.prompts.direct)]
        regions: list[Any] = []
        for message in messages:
            if isinstance(message, ToolMessage):
                content, shown = _observation(message, profile)
                regions += shown
                rendered.append(
                    ToolMessage(content, tool_call_id=message.tool_call_id, name=message.name, status=message.status)
                )
                continue
            if isinstance(message, AIMessage):
                rendered += [HumanMessage(regions)] if regions else []
                rendered.append(_replayed(message))
            else:
                rendered.append(HumanMessage([*regions, *blocks_of(message)]))
            regions = []
        return [*rendered, HumanMessage(regions)] if regions else rendered


def _providers(message: AIMessage) -> tuple[Call, ...]:
    """The calls of the provider's own form.

    LangChain's models mend the arguments of a call that broke off, so the last one before a cut is not read.
    """
    cut, most = finish_of(message) is Finish.CUT, MAX_CALLS + 1
    good = message.tool_calls[: -1 if cut else None][:most]
    bad = [] if cut else message.invalid_tool_calls[:most]
    return (*(Call(call["name"], call["args"], id=call["id"]) for call in good), *map(_mended, bad))


def _mended(call: InvalidToolCall) -> Call:
    """A call whose arguments the adapter could not read: perhaps they are JSON that was encoded twice."""
    name, written = call["name"] or "", call["args"] or ""
    args = object_of(written) if name and isinstance(written, str) else None
    if args is not None:
        return Call(name, args, written, id=call["id"])
    return Call(name, {}, str(written), call["error"] or UNREADABLE, call["id"])


def _observation(message: ToolMessage, profile: Profile) -> tuple[str | list[Any], list[Any]]:
    """What stands in the tool message, and the images that must follow it."""
    blocks = blocks_of(message)
    images = [block for block in blocks if block["type"] == "image"]
    if images and profile.tool_images:
        return blocks, []
    return " ".join(block["text"] for block in blocks if block["type"] == "text"), images


def _replayed(message: AIMessage) -> AIMessage:
    """The policy's turn as it goes back to the provider."""
    sent = {key: value for key, value in message.additional_kwargs.items() if key not in _OTHERWISE_SENT}
    content: str | list[Any] = message.content
    thought = thought_beside(message)
    if isinstance(content, str) and thought is not None:
        del sent[KEY]  # else an adapter that does send it says it twice
        content = f"<think>\n{thought}\n</think>\n\n{content}" if thought else content
    return AIMessage(
        content,
        tool_calls=message.tool_calls,
        invalid_tool_calls=message.invalid_tool_calls,
        additional_kwargs=sent,
        response_metadata={key: value for key, value in message.response_metadata.items() if key in _HOW_TO_READ},
    )


def _apart(message: AIMessage) -> Iterator[str]:
    """Thoughts that came apart from the text, as providers and their adapters hand them on."""
    if (beside := thought_beside(message)) is not None:
        yield beside
        return
    for block in message.content if isinstance(message.content, list) else []:
        if isinstance(block, dict) and block.get("type") in ("reasoning", "thinking"):
            thought = block.get("reasoning") or block.get("thinking")
            summary = block.get("summary")
            parts = summary if isinstance(summary, list) else []
            yield from (
                part["text"].strip() for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
            )
            if isinstance(thought, str):
                yield thought.strip()


DIALECT = NativeDialect()
PROFILE = Profile(dialect="native")
