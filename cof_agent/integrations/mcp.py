"""Close looking as an MCP server: the tools `look_closely` and `zoom`, and the views of past runs as resources."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, TypeAlias

import anyio
from pydantic import BaseModel

from cof_agent.agent.chain_of_focus import ChainOfFocus
from cof_agent.agent.result import FocusResult
from cof_agent.errors import CofError, ConfigError, ImageError, MissingExtraError, ToolError, validated
from cof_agent.images.display_name import nth_image, page_in, show_text
from cof_agent.images.geometry import Box, CoordinateSpace
from cof_agent.images.opening import open_image
from cof_agent.images.views import View, ViewEvent
from cof_agent.integrations.chat_images import each_of
from cof_agent.integrations.mcp_arguments import LookAtSeveralCall, LookCall, ZoomCall
from cof_agent.integrations.mcp_calls import CallProgress, Calls
from cof_agent.integrations.past_runs import PastRuns
from cof_agent.integrations.wording import LOOK, takes_several
from cof_agent.loop.looking import LookContext
from cof_agent.loop.state import EvidenceRecord, Status

try:
    from mcp.server import Server, ServerRequestContext
    from mcp.server.stdio import stdio_server
    from mcp.shared.exceptions import MCPError
    from mcp_types import (
        INVALID_PARAMS,
        BlobResourceContents,
        CallToolRequestParams,
        CallToolResult,
        ListResourcesResult,
        ListToolsResult,
        PaginatedRequestParams,
        ReadResourceRequestParams,
        ReadResourceResult,
        Resource,
        Tool,
        ToolAnnotations,
    )

    from cof_agent.integrations.mcp_results import (
        LINKS_SINCE,
        CallOutcome,
        base64_of,
        image_within,
        refusal,
        result_within,
    )
except ImportError as error:
    raise MissingExtraError.for_extra("mcp", "the MCP server") from error

log = logging.getLogger(__name__)

PAGE = 100
"""Resources that are listed at a time."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.I)
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=True)

_ZOOM = (
    "Shows a region of an image, cut from the original at its native resolution and enlarged, with some margin. "
    "Coordinates are pixels of the original image, turned upright, origin top-left."
)
_AGAIN = " If it says that it has not finished, call it again with the same arguments."


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What calls may take of the server. Raises ConfigError for a bound below its minimum."""

    concurrency: int = 4
    """Calls that run at a time; others wait for their turn."""
    spare_seconds: float = 60.0
    """Time for waiting and for opening the image, in addition to `FocusConfig.max_seconds`."""
    answer_within: float = 50.0
    """Seconds after which a call is answered "not finished", and goes on for whoever calls again; 0: never. Desktop
    clients wait for 60."""
    max_result_bytes: int = 900 * 1024
    """Largest result, as it is sent. Desktop clients refuse more than 1 MiB."""
    progress_seconds: float = 5.0
    """Time between two notifications of progress, for clients that ask for them."""

    def __post_init__(self) -> None:
        if not (self.concurrency >= 1 and self.spare_seconds > 0):
            raise ConfigError(f"{self} are no limits: they need concurrency >= 1 and spare_seconds > 0")
        if not (self.answer_within >= 0 and self.progress_seconds > 0 and self.max_result_bytes >= 16 * 1024):
            raise ConfigError(
                f"{self} are no limits: they need answer_within >= 0, progress_seconds > 0, max_result_bytes >= 16384"
            )


Context: TypeAlias = ServerRequestContext[Any, Any]


def mcp_server(
    agent: ChainOfFocus,
    *,
    limits: CallLimits | None = None,
    keep_runs: int = 32,
    earlier: Iterable[FocusResult] = (),
    words: Callable[[str], str] = str,
) -> Server[Any]:
    """An MCP server whose tools look through `agent`, for any transport of the `mcp` package.

    `agent.limits` says what may be opened (`ImageLimits.roots`: which files; a relative name is looked for below them
    first). The views of the newest `keep_runs` runs, to begin with those of `earlier` ones, are resources: every client
    that can call the server can read them. `words` makes of an error what clients are told. Raises ConfigError for an
    agent that has a person asked.
    """
    agent.config.check_asks_nobody("an MCP server")
    desk = _Desk(agent, limits or CallLimits(), PastRuns(keep_runs, earlier), words)
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


def _of(item: EvidenceRecord, result: FocusResult) -> str:
    """Which of several images a piece of evidence is in."""
    if len(result.images) == 1:
        return ""
    which = nth_image(item.image_index, len(result.images))
    return f", {which} ({result.images[item.image_index].source})"


class _Desk:
    """Where the requests of all clients arrive."""

    def __init__(self, agent: ChainOfFocus, limits: CallLimits, past: PastRuns, words: Callable[[str], str]) -> None:
        self.agent, self.limits, self.past, self.words = agent, limits, past, words
        self.turns = anyio.Semaphore(limits.concurrency)
        self.calls: Calls[CallOutcome] = Calls(limits.answer_within, limits.progress_seconds)
        self.tools: dict[str, tuple[Callable[[Any, CallProgress], Awaitable[CallOutcome]], type[BaseModel], str]] = {
            "look_closely": (
                self.look_closely,
                LookAtSeveralCall if takes_several(agent.policy) else LookCall,
                LOOK + _AGAIN,
            ),
            "zoom": (self.zoom, ZoomCall, _ZOOM + _AGAIN),
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
        name = params.name
        if name not in self.tools:
            raise MCPError(INVALID_PARAMS, f"there is no tool {name[:80]!r}: use {' or '.join(self.tools)}")
        _, expected, _ = self.tools[name]
        try:
            arguments = validated(
                expected, params.arguments or {}, f"the call {name}({', '.join(expected.model_fields)})"
            )
            key = hashlib.sha256(f"{name} {arguments.model_dump_json()}".encode()).hexdigest()
            work = partial(self._in_time, name, arguments)
            found = await self.calls.outcome(key, work, context.session.report_progress)
        except CofError as error:
            return refusal(self.words(str(error)))
        if found is None:
            why = (
                f"{name} has not finished after {self.limits.answer_within:g} seconds. It goes on: call {name} again "
                "with the same arguments to get its result"
            )
            found = CallOutcome(why, (), {"status": "unfinished", "message": why})
        return await anyio.to_thread.run_sync(self._sent, name, found, context.protocol_version >= LINKS_SINCE)

    def _sent(self, tool: str, found: CallOutcome, links: bool) -> CallToolResult:
        most, keeps = self.limits.max_result_bytes, self.past.keeps
        result, referred = result_within(found, self.agent.store, most, readable=keeps, links=links)
        if tool == "zoom":  # the views of runs are kept anyway
            for view in referred:
                self.past.add_view(view, "a region that was looked at", self.agent.store)
        return result

    async def _in_time(self, tool: str, arguments: BaseModel, progress: CallProgress) -> CallOutcome:
        """What comes of a call, however long it takes to be asked for."""
        work, _, _ = self.tools[tool]
        seconds = self.agent.config.max_seconds + self.limits.spare_seconds
        try:
            async with asyncio.timeout(seconds) as limit, self.turns:
                return await work(arguments, progress)
        except TimeoutError:
            if not limit.expired():
                raise
        why = (
            f"{tool} did not end within {seconds:g} seconds, at most {self.limits.concurrency} calls at a time: "
            "try again later, or start the server with other limits"
        )
        raise ToolError(why)

    async def look_closely(self, arguments: LookCall, progress: CallProgress) -> CallOutcome:
        result = await self._asked(arguments, progress)
        self.past.add(result)
        if result.save_error:
            log.error("an answered question could not be saved: %s", result.save_error)
        told = result.to_json()
        for view, described in zip(result.views, told["views"], strict=True):
            described["resource"] = view.image.url
        evidence = [
            f"{item.source}: {list(item.box)} in view {item.view}{_of(item, result)}" for item in result.evidence
        ]
        words = "\n".join([result.reply, *evidence])
        regions = [view for view in result.views if not view.is_overview]
        failed = result.status is Status.FAILED
        return CallOutcome(words, regions, told, failed=failed, images=len(result.images))

    async def _asked(self, arguments: LookCall, progress: CallProgress) -> FocusResult:
        images = [self._named(image) for image in each_of(arguments.image)]
        most, result = len(images) + self.agent.config.max_zooms, None
        async for event in self.agent.astream(images if len(images) > 1 else images[0], arguments.question):
            if isinstance(event, FocusResult):
                result = event
            elif isinstance(event, ViewEvent):
                name = nth_image(event.view.image_index, len(images)) if len(images) > 1 else None
                progress.step(event.view.index + 1, most, event.view.describe(name))
        assert result is not None, "a stream ends with its result"
        return result

    async def zoom(self, arguments: ZoomCall, progress: CallProgress) -> CallOutcome:
        view = await anyio.to_thread.run_sync(self._region, arguments, abandon_on_cancel=True)
        return CallOutcome("", [view], {"box": view.box.as_list(), "shown": list(view.shown)})

    def _region(self, arguments: ZoomCall) -> View:
        source = open_image(self._named(arguments.image), limits=self.agent.limits)
        profile = self.agent.policy.profile.model_copy(update={"coordinates": CoordinateSpace.VIEW_PIXELS})
        whole = View(0, "overview", Box.whole(source.ref.size), source.ref.size, 0, source.ref)
        sight = LookContext(lambda _: source, [whole], self.agent.store, profile, self.agent.config.max_visual_tokens)
        return sight.look(arguments.box, profile.zoom, "zoom", 0, None)

    def _named(self, image: str) -> str:
        """What a client names. Its relative names count below the roots: it does not know where the server runs."""
        if os.path.isabs(image) or _SCHEME.match(image):
            return image
        below = [os.path.join(root, image) for root in self.agent.limits.roots or ()]
        page = page_in(image)
        there = next(filter(os.path.isfile, below), None)
        return there or next((name for name in below if page and os.path.isfile(name.removesuffix(page))), image)

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
                    description=past.description,
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
        most = self.limits.max_result_bytes - 4096  # for what stands around it
        data, mime_type = await anyio.to_thread.run_sync(image_within, data, mime_type, most)
        return ReadResourceResult(
            contents=[BlobResourceContents(uri=params.uri, mime_type=mime_type, blob=base64_of(data))]
        )
