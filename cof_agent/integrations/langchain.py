"""Close looking as a LangChain tool, for any agent that calls tools."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, ToolException
from langgraph.config import get_stream_writer
from langgraph.prebuilt import InjectedState
from langgraph.types import StreamWriter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from cof_agent.agent.ask import Images
from cof_agent.agent.chain_of_focus import ChainOfFocus, Event
from cof_agent.agent.result import FocusResult
from cof_agent.errors import ConfigError, ImageError, StoreError
from cof_agent.images.limits import ImageLimits
from cof_agent.images.views import ViewEvent
from cof_agent.integrations.chat_images import about_another, first_that_opens, sources_of
from cof_agent.integrations.wording import LOOK, PATH, PATH_SCHEMA, PATHS, PATHS_SCHEMA, QUESTION, listed, takes_several
from cof_agent.loop.state import Status
from cof_agent.policies.policy import Policy


class LookArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1, description=QUESTION)
    image: Annotated[Any, BeforeValidator(listed), WithJsonSchema(PATH_SCHEMA)] = Field(
        default=None, description=f"{PATH}; leave it out for the newest image of the conversation"
    )
    messages: Annotated[list[Any], InjectedState("messages")] = Field(default_factory=list)


class LookAtSeveralArguments(LookArguments):  # what a model reads whose questions may be about several images
    image: Annotated[Any, BeforeValidator(listed), WithJsonSchema(PATHS_SCHEMA)] = Field(
        default=None, description=f"{PATHS}; leave it out for the newest images of the conversation"
    )


class LookCloselyTool(BaseTool):
    """For `create_agent` and everything else that takes LangChain tools.

    The content of its message is the answer, or why there is none; the artifact holds `evidence` (boxes in original
    upright pixels of the image that `image_index` names) and `trajectory`, both as JSON (`Trajectory.from_json`
    rebuilds). `image` is a path or a URL, or a list of several, which its model is told of where the policy's dialect
    names images. Without one it looks at the newest in the agent's messages, at all of them where that message has
    several; once a question has come after a bad one, at the newest before that can be opened, and says so. Called from
    code, `image` may be whatever `ChainOfFocus.ask` takes.

    The graph that runs it streams each view as the loop itself does, in LangGraph's mode `custom`.

    What the agent's model can mend (an image that cannot be opened, several where the policy's dialect cannot tell them
    apart, an argument it does not know) comes back as a message of status `error`, and so does a run that has failed,
    with its artifact; a store that cannot keep an image, or has lost it, is a StoreError.
    """

    name: str = "look_closely"
    description: str = LOOK
    args_schema: Any = LookArguments
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True
    agent: ChainOfFocus = Field(exclude=True, repr=False)

    def __init__(self, agent: ChainOfFocus | str | Policy | BaseChatModel = "reader", **fields: Any) -> None:
        """`agent` is a `ChainOfFocus`, or the policy to make one with.

        Raises ConfigError for one that has a person asked.
        """
        agent = agent if isinstance(agent, ChainOfFocus) else ChainOfFocus(agent)
        arguments = LookAtSeveralArguments if takes_several(agent.policy) else LookArguments
        super().__init__(agent=agent, **{"args_schema": arguments, **fields})
        self.agent.config.check_asks_nobody("the LangChain tool")

    def run(self, *args: Any, **options: Any) -> Any:
        return _marked(super().run(*args, **options))

    async def arun(self, *args: Any, **options: Any) -> Any:
        return _marked(await super().arun(*args, **options))

    def _run(
        self, question: str, image: Images | None = None, messages: list[Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        write = _custom_stream()
        try:
            chosen, problem = _chosen(image, messages, self.agent.limits)
            for event in self.agent.stream(chosen, question, config=self.agent.config):
                _pass_on(event, write)
        except StoreError:
            raise  # nothing that a model could mend
        except (ConfigError, ImageError) as error:
            raise ToolException(str(error)) from error
        return _told(event, problem)

    async def _arun(
        self, question: str, image: Images | None = None, messages: list[Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        write = _custom_stream()
        try:
            chosen, problem = await asyncio.to_thread(_chosen, image, messages, self.agent.limits)
            async for event in self.agent.astream(chosen, question, config=self.agent.config):
                _pass_on(event, write)
        except StoreError:
            raise  # nothing that a model could mend
        except (ConfigError, ImageError) as error:
            raise ToolException(str(error)) from error
        return _told(event, problem)


def _custom_stream() -> StreamWriter:
    """That of the graph which runs the tool; called from code, nobody listens."""
    try:
        return get_stream_writer()
    except (RuntimeError, KeyError):
        return lambda _: None


def _pass_on(event: Event, write: StreamWriter) -> None:
    if isinstance(event, ViewEvent):
        write(event.to_json())


def _marked(said: Any) -> Any:
    """A message about a run that has failed is an error, as a message about an image that cannot be opened is."""
    run = said.artifact["trajectory"] if isinstance(said, ToolMessage) and said.artifact else None
    return said.model_copy(update={"status": "error"}) if run and run["status"] == Status.FAILED else said


def _told(end: Event, problem: ImageError | None) -> tuple[str, dict[str, Any]]:
    assert isinstance(end, FocusResult), "nobody is asked, so a stream ends with its result"
    run = end.trajectory.to_json()
    sources = [image.source for image in end.trajectory.images]
    note = f"\n\n{about_another(sources, problem)}" if problem else ""
    return end.reply + note, {"evidence": run["evidence"], "trajectory": run}


def _chosen(image: Images | None, messages: list[Any] | None, limits: ImageLimits) -> tuple[Images, ImageError | None]:
    """The images that were named, else the newest of `messages`; and what was wrong with those, if they are earlier."""
    if image is not None:
        return image, None
    sources = sources_of(messages or [])
    if not sources:
        raise ImageError("there is no image: pass a path or a URL as `image`, or put an image into a message before")
    source, _, problem = first_that_opens(sources, limits)
    return source, problem
