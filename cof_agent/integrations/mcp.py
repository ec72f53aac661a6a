"""Close looking as an MCP server: the tools `look_closely` and `zoom`, and the views of past runs as resources."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeAlias

import anyio
from pydantic import BaseModel, ConfigDict, Field

from cof_agent.agent.chain_of_focus import ChainOfFocus
from cof_agent.agent.result import FocusResult
from cof_agent.dialects.tools import Coordinates
from cof_agent.errors import CofError, ConfigError, ImageError, MissingExtraError, validated
from cof_agent.images.display_name import show_text
from cof_agent.images.geometry import Box, CoordinateSpace
from cof_agent.images.opening import open_image
from cof_agent.images.store import ImageStore
from cof_agent.images.views import View, ViewEvent
from cof_agent.integrations.past_runs import PastRuns
from cof_agent.integrations.wording import LOOK, QUESTION
from cof_agent.loop.looking import LookContext
from cof_agent.loop.state import Status

try:
    from mcp.server import Server, ServerRequestContext
    from mcp.server.stdio import stdio_server
    from mcp.shared.exceptions import MCPError
    from mcp_types import (
        INVALID_PARAMS,
        BlobResourceContents,
        CallToolRequestParams,
        CallToolResult,
        ContentBlock,
        ImageContent,
        ListResourcesResult,
        ListToolsResult,
        PaginatedRequestParams,
        ReadResourceRequestParams,
        ReadResourceResult,
        Resource,
        TextContent,
        Tool,
        ToolAnnotations,
    )
except ImportError as error:
    raise MissingExtraError.for_extra("mcp", "the MCP server") from error

log = logging.getLogger(__name__)

PAGE = 100
"""Resources that are listed at a time."""

_IMAGE = "the image: a path, or a file:, http(s): or data: URL"
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=True)

_ZOOM = (
    "Shows a region of an image, cut from the original at its native resolution and enlarged, with some margin. "
    "Coordinates are pixels of the original image, turned upright, origin top-left."
)


class LookCall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image: str = Field(description=_IMAGE)
    question: str = Field(min_length=1, max_length=20_000, description=QUESTION)


class ZoomCall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image: str = Field(description=_IMAGE)
    box: Coordinates


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What calls may take of the server. Raises ConfigError for a bound below its minimum."""

    concurrency: int = 4
    """Calls that run at a time; others wait for their turn."""
    spare_seconds: float = 60.0
    """Time for waiting and for opening the image, in addition to `FocusConfig.max_seconds`."""

    def __post_init__(self) -> None:
        if not (self.concurrency >= 1 and self.spare_seconds > 0):
            raise ConfigError(f"{self} are no limits: they need concurrency >= 1 and spare_seconds > 0")


Context: TypeAlias = ServerRequestContext[Any, Any]


def mcp_server(
    agent: ChainOfFocus, *, limits: CallLimits | None = None, keep_runs: int = 32, earlier: Iterable[FocusResult] = ()
) -> Server[Any]:
    """An MCP server whose tools look through `agent`, for any transport of the `mcp` package.

    `agent.limits` says what may be opened (`ImageLimits.roots`: which files). The views of the newest `keep_runs` runs,
    to begin with those of `earlier` ones, are resources: every client that can call the server can read them. Raises
    ConfigError for an agent that has a person asked.
    """
    agent.config.check_asks_nobody("an MCP server")
    desk = _Desk(agent, limits or CallLimits(), PastRuns(keep_runs, earlier))
    return Server(
        "cof-agent",
        version=version("cof-agent"),
        instructions="Looks closely at images: answers questions about them, and shows regions of them enlarged.",
        on_list_tools=desk.list_tools,
        on_call_tool=desk.call_tool,
        on_list_resources=desk.list_resources,
        on_read_resource=desk.read_resource,
    )


async def serve_stdio(server: Server[Any]) -> None:
    """Serve one client on standard input and output until it closes them. Nothing else may be written there."""
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


class _Desk:
    """Where the requests of all clients arrive."""

    def __init__(self, agent: ChainOfFocus, limits: CallLimits, past: PastRuns) -> None:
        self.agent, self.limits, self.past = agent, limits, past
        self.turns = anyio.Semaphore(limits.concurrency)
        self._asked: set[asyncio.Task[FocusResult]] = set()
        self.tools: dict[str, tuple[Callable[[Context, Any], Awaitable[CallToolResult]], type[BaseModel], str]] = {
            "look_closely": (self.look_closely, LookCall, LOOK),
            "zoom": (self.zoom, ZoomCall, _ZOOM),
        }

    async def list_tools(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(
            tools=[
                Tool(name=name, description=what, input_schema=arguments.model_json_schema(), annotations=_READS)
                for name, (_, arguments, what) in self.tools.items()
            ]
        )

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """What the caller can mend comes back as a result that is an error; anything else is a bug here."""
        if params.name not in self.tools:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:80]!r}: use {' or '.join(self.tools)}")
        run, expected, _ = self.tools[params.name]
        seconds = self.agent.config.max_seconds + self.limits.spare_seconds
        signature = f"the call {params.name}({', '.join(expected.model_fields)})"
        try:
            with anyio.move_on_after(seconds):
                arguments = validated(expected, params.arguments or {}, signature)
                async with self.turns:
                    return await run(context, arguments)
        except CofError as error:
            return _refused(str(error))
        return _refused(
            f"{params.name} did not end within {seconds:g} seconds, at most {self.limits.concurrency} calls at a time: "
            "try again later, or start the server with other limits"
        )

    async def look_closely(self, context: Context, arguments: LookCall) -> CallToolResult:
        asked = asyncio.create_task(self._ask(context, arguments))
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)
        try:
            # A scope of anyio cancels what it holds again and again, which LangGraph's own tasks would outlive.
            result = await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.cancel()
            raise
        self.past.add(result)
        if result.save_error:
            log.error("an answered question could not be saved: %s", result.save_error)
        told = result.to_json()
        for view, described in zip(result.views, told["views"], strict=True):
            described["resource"] = view.image.url
        evidence = [f"{item.source}: {list(item.box)} in view {item.view}" for item in result.evidence]
        content: list[ContentBlock] = [TextContent(text="\n".join([result.reply, *evidence]))]
        for view in result.views[1:]:
            content += _shown(view, self.agent.store)
        return CallToolResult(content=content, structured_content=told, is_error=result.status is Status.FAILED)

    async def _ask(self, context: Context, arguments: LookCall) -> FocusResult:
        most, result = 1 + self.agent.config.max_zooms, None
        async for event in self.agent.astream(arguments.image, arguments.question):
            if isinstance(event, FocusResult):
                result = event
            elif isinstance(event, ViewEvent):
                await context.session.report_progress(event.view.index + 1, most, event.view.describe())
        assert result is not None, "a stream ends with its result"
        return result

    async def zoom(self, context: Context, arguments: ZoomCall) -> CallToolResult:
        view = await anyio.to_thread.run_sync(self._region, arguments, abandon_on_cancel=True)
        told = {"box": view.box.as_list(), "shown": list(view.shown)}
        return CallToolResult(content=_shown(view, self.agent.store), structured_content=told)

    def _region(self, arguments: ZoomCall) -> View:
        source = open_image(arguments.image, limits=self.agent.limits)
        profile = self.agent.policy.profile.model_copy(update={"coordinates": CoordinateSpace.VIEW_PIXELS})
        whole = View(0, "overview", Box.whole(source.ref.size), source.ref.size, 0, source.ref)
        sight = LookContext(source, [whole], self.agent.store, profile, self.agent.config.max_visual_tokens)
        return sight.look(arguments.box, profile.zoom, "zoom", 0, None)

    async def list_resources(self, context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        """As many as `PAGE` at a time. The cursor of the next page is how many views were listed before it."""
        views, cursor = self.past.views, (params.cursor if params else None) or "0"
        if not re.fullmatch("[0-9]{1,9}", cursor):
            raise MCPError(INVALID_PARAMS, f"there is no page {cursor[:80]!r}: list the resources without a cursor")
        end = int(cursor) + PAGE
        return ListResourcesResult(
            next_cursor=str(end) if end < len(views) else None,
            resources=[
                Resource(
                    uri=past.view.image.url,
                    name=past.name,
                    title=show_text(past.question),
                    description=past.view.describe(),
                    mime_type=past.view.image.mime_type,
                )
                for past in views[end - PAGE : end]
            ],
        )

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        try:
            data, mime_type = self.past.image(str(params.uri))
        except ImageError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        return ReadResourceResult(
            contents=[BlobResourceContents(uri=params.uri, mime_type=mime_type, blob=_base64(data))]
        )


def _shown(view: View, store: ImageStore) -> list[ContentBlock]:
    image = ImageContent(data=_base64(store.get(view.image)), mime_type=view.image.mime_type)
    return [TextContent(text=view.describe()), image]


def _refused(why: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=why)], is_error=True)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
