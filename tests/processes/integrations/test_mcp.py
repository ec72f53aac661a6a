"""`cof-agent mcp` and the official client: over stdio and streamable HTTP, in both protocol generations."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult, ImageContent, TextContent
from PIL import Image

from cof_agent import ChainOfFocus, FocusConfig, ImageLimits, MemoryStore, Policy, load_policy, read_trajectories
from cof_agent.integrations.mcp import PAGE, CallLimits, mcp_server
from tests.support.integrations.hosts import (
    DARK,
    IN_SECOND,
    NINE,
    REGION,
    ZOOM,
    agent,
    agent_of_several,
    photo,
    script,
)
from tests.support.integrations.mcp_servers import COMMAND, SECONDS, environment, on_http, on_stdio
from tests.support.misbehaving_server import Act, Visit, playing, refuses, says
from tests.support.patience import PATIENCE

QUESTION = "Until when is it open?"
GENERATIONS = ["2026-07-28", "legacy"]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a photo, a large one, a link out of it and a script; beside it a file that is nobody's business."""
    folder = tmp_path_factory.mktemp("shelf") / "allowed"
    folder.mkdir()
    photo().save(folder / "photo.png")
    Image.linear_gradient("L").resize((6000, 5000)).save(folder / "large.jpg")
    photo().save(folder.parent / "private.png")
    (folder / "link.png").symlink_to(folder.parent / "private.png")
    script(folder)
    return folder


@pytest.fixture(scope="module")
def words(shelf: Path) -> list[str]:
    return ["--root", str(shelf), "--policy", f"script:{shelf / 'script.json'}"]


@pytest.fixture(scope="module")
def url(words: list[str]) -> Iterator[str]:
    with on_http(*words) as url:
        yield url


def connect(server: Any, mode: str = "auto") -> Client:
    return Client(server, mode=mode, read_timeout_seconds=SECONDS)


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def images_of(result: CallToolResult) -> list[Image.Image]:
    blocks = [block for block in result.content if isinstance(block, ImageContent)]
    return [Image.open(io.BytesIO(base64.b64decode(block.data))) for block in blocks]


async def all_that_a_client_does(client: Client, shelf: Path) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {name: tool.input_schema["required"] for name, tool in tools.items()} == {
        "look_closely": ["image", "question"],
        "zoom": ["image", "box"],
    }
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())

    told: list[tuple[float, float | None, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))

    asked = {"image": str(shelf / "photo.png"), "question": QUESTION}
    found = await client.call_tool("look_closely", asked, progress_callback=progress)
    assert not found.is_error
    assert text_of(found).startswith(f"nine\nlast_view: {REGION} in view 1\n")
    assert [image.size for image in images_of(found)] == [(168, 112)]
    assert [(done, total) for done, total, _ in told] == [(1, 7), (2, 7)]
    assert told[1][2] == f"view 1, zoom “sign”: {REGION} shown at 168x112"
    value = found.structured_content
    assert value is not None
    assert (value["answer"], value["status"], value["evidence"][0]["box"]) == ("nine", "answered", REGION)

    resources = (await client.list_resources()).resources[:2]
    assert [resource.title for resource in resources] == [QUESTION] * 2
    assert [resource.uri for resource in resources] == [view["resource"] for view in value["views"]]
    (content,) = (await client.read_resource(resources[1].uri)).contents
    assert Image.open(io.BytesIO(base64.b64decode(content.blob))).size == (168, 112)
    with pytest.raises(MCPError, match="no past run has a view at cof-image://sha256/0: list the resources"):
        await client.read_resource("cof-image://sha256/0")

    part = await client.call_tool("zoom", {"image": str(shelf / "large.jpg"), "box": [3000, 2000, 3200, 2100]})
    assert part.structured_content == {"box": [2950, 1975, 3250, 2125], "shown": [588, 308]}
    assert [image.size for image in images_of(part)] == [(588, 308)]
    large = await client.call_tool("look_closely", {"image": str(shelf / "large.jpg"), "question": QUESTION})
    assert large.structured_content is not None
    assert large.structured_content["image"] == {"source": str(shelf / "large.jpg"), "width": 6000, "height": 5000}

    for path in (shelf.parent / "private.png", shelf / "link.png", shelf / ".." / "private.png", "/etc/passwd"):
        for source in (str(path), f"file://{path}"):
            for tool, more in (("look_closely", {"question": QUESTION}), ("zoom", {"box": [0, 0, 9, 9]})):
                refused = await client.call_tool(tool, {"image": source, **more})
                assert refused.is_error
                assert (
                    f"may not be read: pass a file below {shelf}, or allow its directory: name it with --root"
                    in text_of(refused)
                )


async def test_over_stdio(words: list[str], shelf: Path) -> None:
    async with connect(on_stdio(*words)) as client:
        assert client.protocol_version == "2026-07-28"
        await all_that_a_client_does(client, shelf)


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_over_http(mode: str, url: str, shelf: Path) -> None:
    async with connect(url, mode) as client:
        assert (client.protocol_version == mode) is (mode != "legacy")
        await all_that_a_client_does(client, shelf)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("look_closely", {"question": QUESTION}, "image: Field required"),
        ("look_closely", {"image": 7, "question": QUESTION}, "image: Input should be a valid string (given: 7)"),
        ("look_closely", {"image": "{}/photo.png", "question": ""}, "question: String should have at least 1 char"),
        ("look_closely", {"image": "{}/photo.png", "question": QUESTION, "zoom": 2}, "zoom: Extra inputs are not"),
        ("look_closely", {"image": "{}/missing.png", "question": QUESTION}, "missing.png does not exist: check"),
        ("look_closely", {"image": "{}/script.json", "question": QUESTION}, "save it as PNG, JPEG or WebP"),
        ("look_closely", {"image": "http://127.0.0.1:1/a.png", "question": QUESTION}, "not a public address"),
        ("zoom", {"image": "{}/photo.png"}, "the call zoom(image, box) is not valid at box: Field required"),
        ("zoom", {"image": "{}/photo.png", "box": [1, 2, 3]}, "box: Value should have at least 4 items"),
        ("zoom", {"image": "{}/photo.png", "box": [9, 9, 281, 20]}, "it needs 0 <= x1 < x2 <= 280 and 0 <= y1 < y2"),
        ("zoom", {"image": "{}/photo.png", "box": [9, 9, 9, 20]}, "the box [9, 9, 9, 20] is empty"),
        ("zoom", {"image": "{}/photo.png", "box": [0, 0, float("nan"), 9]}, "box.2: Input should be a finite number"),
    ],
)
async def test_bad_calls_are_told_to_the_caller(
    tool: str, arguments: dict[str, Any], said: str, shelf: Path, url: str
) -> None:
    given = json.loads(json.dumps(arguments).replace("{}", str(shelf)).replace("NaN", '"nan"'))
    async with connect(url) as client:
        refused = await client.call_tool(tool, given)
        assert refused.is_error
        assert said in text_of(refused)


async def test_an_unknown_tool_is_a_protocol_error(url: str) -> None:
    async with connect(url) as client:
        with pytest.raises(MCPError, match="there is no tool 'look': use look_closely or zoom"):
            await client.call_tool("look", {})


async def test_a_data_url_needs_no_root(photo_file: Path) -> None:
    picture = "data:image/png;base64," + base64.b64encode(photo_file.read_bytes()).decode()
    async with connect(mcp_server(agent(limits=ImageLimits(roots=())))) as client:
        found = await client.call_tool("look_closely", {"image": picture, "question": QUESTION})
        assert text_of(found).startswith("nine")
        refused = await client.call_tool("zoom", {"image": str(photo_file), "box": [0, 0, 9, 9]})
        assert "may not be read: pass a URL, or allow its directory: name it among the roots" in text_of(refused)


async def test_a_question_about_two_images(photo_file: Path, other_file: Path) -> None:
    looking = agent_of_several(limits=ImageLimits(roots=(photo_file.parent,)))
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))

    async with connect(mcp_server(looking)) as client:
        (tool, _) = (await client.list_tools()).tools
        assert [kind["type"] for kind in tool.input_schema["properties"]["image"]["anyOf"]] == ["string", "array"]
        names = [photo_file.name, str(other_file)]  # a relative name counts below the root
        for image in (names, json.dumps(names)):
            told.clear()
            asked = {"image": image, "question": QUESTION}
            found = await client.call_tool("look_closely", asked, progress_callback=progress)
            said = f"nine\nlast_view: {IN_SECOND} in view 2, image 2 of 2 ({other_file})\n"
            assert text_of(found).startswith(said)
            assert "zoom “sign” of image 2 of 2: " in text_of(found)
            assert len(images_of(found)) == 1, "the overviews are the client's own images"
            value = found.structured_content
            assert value is not None
            assert [item["image_index"] for item in value["evidence"]] == [1]
            assert [view["image_index"] for view in value["views"]] == [0, 1, 1]
            assert [image["source"] for image in value["images"]] == [str(photo_file), str(other_file)]
            assert [(done, total) for done, total, _ in told] == [(1, 8), (2, 8), (3, 8)]
        for image, why in (
            ([], "image: Input should be a list of strings that is not empty"),
            ([names[0], 7], "image: Input should be a list of strings that is not empty"),
            ([names[0], "gone.png"], "image 2 of 2: gone.png"),
            ([names[0], "/etc/passwd"], "image 2 of 2: /etc/passwd may not be read"),
        ):
            refused = await client.call_tool("look_closely", {"image": image, "question": QUESTION})
            assert refused.is_error
            assert why in text_of(refused)
    async with connect(mcp_server(agent())) as client:
        (tool, _) = (await client.list_tools()).tools
        assert tool.input_schema["properties"]["image"]["type"] == "string", "what would be refused is not offered"
        refused = await client.call_tool("look_closely", {"image": [str(photo_file)] * 2, "question": QUESTION})
        assert refused.is_error
        assert "the dialect cof cannot say which image it looks at" in text_of(refused)


async def test_a_relative_name_is_looked_for_below_the_roots(photo_file: Path, tmp_path: Path) -> None:
    (tmp_path / "shelf" / "inside").mkdir(parents=True)
    photo_file.rename(tmp_path / "shelf" / "inside" / "sign.png")
    (tmp_path / "other.png").write_bytes((tmp_path / "shelf" / "inside" / "sign.png").read_bytes())
    looking = agent(limits=ImageLimits(roots=(tmp_path / "shelf",)))
    box = [0, 0, 20, 20]
    async with connect(mcp_server(looking, words=lambda text: text.replace("ImageLimits", "--root"))) as client:
        found = await client.call_tool("zoom", {"image": "inside/sign.png", "box": box})
        assert not found.is_error
        for name in ("../other.png", "inside/other.png"):
            refused = await client.call_tool("zoom", {"image": name, "box": box})
            assert refused.is_error
            assert "ImageLimits" not in refused.content[0].text


async def test_no_answer_is_told_apart_from_a_failure(photo_file: Path) -> None:
    for turns, error, said in (((DARK,), False, "No answer (declined): too dark"), ((ZOOM,), True, "the script has 1")):
        async with connect(mcp_server(agent(*turns))) as client:
            found = await client.call_tool("look_closely", {"image": str(photo_file), "question": QUESTION})
            assert found.is_error is error
            assert said in text_of(found)


async def test_zoom_shows_what_the_policy_would_be_shown(photo_file: Path) -> None:
    looking = agent()
    async with connect(mcp_server(looking)) as client:
        shown = await client.call_tool("zoom", {"image": str(photo_file), "box": [20, 20, 80, 60]})
    seen = looking.ask(photo_file, QUESTION).view_image(1)
    assert images_of(shown)[0].tobytes() == seen.tobytes(), "the overview of a small photo is its original"


async def test_earlier_runs_that_were_saved_are_resources(words: list[str], photo_file: Path, tmp_path: Path) -> None:
    policy, runs = agent().policy, tmp_path / "runs"
    for question in ("First?", QUESTION):
        ChainOfFocus(policy, save=runs).ask(photo_file, question)
    async with connect(on_stdio(*words, "--save", str(runs), "--keep-runs", "1")) as client:
        resources = (await client.list_resources()).resources
        assert [resource.title for resource in resources] == [QUESTION] * 2
        (content,) = (await client.read_resource(resources[1].uri)).contents
        assert Image.open(io.BytesIO(base64.b64decode(content.blob))).size == (168, 112)
        await client.call_tool("look_closely", {"image": str(photo_file), "question": QUESTION})
    assert len(list(read_trajectories(runs))) == 2, "that file was none of this server's"


async def test_what_was_saved_can_be_read_though_memory_has_dropped_it(tmp_path: Path) -> None:
    """The store holds two photos or so; without `save`, what it dropped is not listed."""
    noise = [Image.effect_noise((200, 200), 50 + number) for number in range(4)]
    for save, least, most in ((tmp_path / "runs", 8, 8), (None, 1, 7)):
        looking = ChainOfFocus(agent().policy, save=save, store=MemoryStore(400_000))
        async with connect(mcp_server(looking)) as client:
            for number, image in enumerate(noise):
                image.save(tmp_path / f"{number}.png")
                call = {"image": str(tmp_path / f"{number}.png"), "question": QUESTION}
                assert text_of(await client.call_tool("look_closely", call)).startswith("nine")
            resources = (await client.list_resources()).resources
            assert least <= len(resources) <= most
            for resource in resources:
                (content,) = (await client.read_resource(resource.uri)).contents
                assert content.blob


async def test_many_resources_come_in_pages() -> None:
    looking = agent()
    runs = [looking.ask(Image.effect_noise((112, 112), 50), QUESTION) for _ in range(PAGE // 2 + 1)]
    expected = [view.image.url for run in reversed(runs) for view in run.views]
    async with connect(mcp_server(looking, keep_runs=len(runs), earlier=runs)) as client:
        first = await client.list_resources()
        second = await client.list_resources(cursor=first.next_cursor)
        assert [len(page.resources) for page in (first, second)] == [PAGE, 2]
        assert [resource.uri for page in (first, second) for resource in page.resources] == expected
        assert second.next_cursor is None
        with pytest.raises(MCPError, match="there is no page 'next': list the resources without a cursor"):
            await client.list_resources(cursor="next")


# --- calls at once, cancelled, too long


def waits_until_left(asked: threading.Event, left: threading.Event) -> Act:
    """Never replies; tells when it was asked, and when the one who asked has gone."""

    def act(visit: Visit) -> None:
        asked.set()
        ready, _, _ = select.select([visit.connection], [], [], PATIENCE)
        if ready and not visit.connection.recv(1):
            left.set()

    return act


def meets(others: threading.Barrier) -> Act:
    """Replies once as many ask as the barrier waits for."""

    def act(visit: Visit) -> None:
        try:
            others.wait()
        except threading.BrokenBarrierError:
            refuses(400, "nobody else came")(visit)
        else:
            says(NINE)(visit)

    return act


@contextmanager
def slow_policy(shelf: Path, rounds: int) -> Iterator[tuple[list[str], list[tuple[threading.Event, threading.Event]]]]:
    """Options for a server of two places, and when its policy was asked and left; then two questions are answered."""
    events = [(threading.Event(), threading.Event()) for _ in range(2 * rounds)]
    acts: list[Act] = []
    for number in range(rounds):
        acts += [waits_until_left(*each) for each in events[2 * number : 2 * number + 2]]
        acts += [meets(threading.Barrier(2, timeout=PATIENCE))] * 2
    with playing(*acts) as endpoint:
        words = ["--policy", "openai:m", "--dialect", "cof", "--base-url", endpoint.url, "-o", "api_key=key"]
        yield [*words, "--root", str(shelf), "--concurrency", "2"], events


async def cancel_two_then_ask_two(
    client: Client, shelf: Path, events: list[tuple[threading.Event, threading.Event]]
) -> None:
    call = partial(client.call_tool, "look_closely", {"image": str(shelf / "photo.png"), "question": QUESTION})
    for asked, left in events:
        task = asyncio.create_task(call())
        assert await asyncio.to_thread(asked.wait, PATIENCE)
        task.cancel()
        assert await asyncio.to_thread(left.wait, PATIENCE), "the policy's server was told that nobody waits"
    both = await asyncio.gather(call(), call())
    assert [text_of(found) for found in both] == ["nine", "nine"], "both places are free again"


async def test_cancelled_calls_and_two_at_once_over_stdio(shelf: Path) -> None:
    with slow_policy(shelf, 1) as (words, events):
        async with connect(on_stdio(*words)) as client:
            await cancel_two_then_ask_two(client, shelf, events)


async def test_cancelled_calls_and_two_at_once_over_http(shelf: Path) -> None:
    with slow_policy(shelf, 2) as (words, events), on_http(*words) as url:
        for number, mode in enumerate(GENERATIONS):
            async with connect(url, mode) as client:
                await cancel_two_then_ask_two(client, shelf, events[2 * number : 2 * number + 2])


@pytest.mark.parametrize(("leave", "code"), [("closes its input", 0), ("is interrupted", 130)])
def test_the_server_ends_at_once_in_the_middle_of_a_call(leave: str, code: int, shelf: Path) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    look = {"name": "look_closely", "arguments": {"image": str(shelf / "photo.png"), "question": QUESTION}}
    sent = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": look},
    ]
    with slow_policy(shelf, 1) as (words, ((asked, left), _)):
        pipe, listens = subprocess.PIPE, partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        server = subprocess.Popen(
            [*COMMAND, *words], env=environment(), stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=listens
        )
        try:
            assert server.stdin is not None
            server.stdin.write("".join(json.dumps(message) + "\n" for message in sent).encode())
            server.stdin.flush()
            assert asked.wait(SECONDS)
            if code:
                server.send_signal(signal.SIGINT)
                server.wait(SECONDS)
            server.communicate(timeout=SECONDS)
            assert server.returncode == code
            assert left.wait(PATIENCE)
        finally:
            server.kill()


async def test_more_calls_than_places_wait_for_their_turn(shelf: Path) -> None:
    here, others = threading.Semaphore(1), []

    def looks_for_others(visit: Visit) -> None:
        others.append(not here.acquire(blocking=False))
        if not others[-1]:
            visit.server.closing.wait(0.05)  # would the next one come meanwhile?
            here.release()
        says(NINE)(visit)

    call = {"image": str(shelf / "photo.png"), "question": QUESTION}
    with playing(*[looks_for_others] * 6) as endpoint:
        looking = ChainOfFocus(_endpoint(endpoint.url), limits=ImageLimits(roots=(shelf,)))
        async with connect(mcp_server(looking, limits=CallLimits(concurrency=1))) as client:
            found = await asyncio.gather(*(client.call_tool("look_closely", call) for _ in range(6)))
    assert [text_of(one) for one in found] == ["nine"] * 6
    assert others == [False] * 6


def _endpoint(url: str) -> Policy:
    return load_policy("openai:m", dialect="cof", base_url=url, api_key="key")


async def test_a_call_ends_in_time(shelf: Path) -> None:
    call = {"image": str(shelf / "photo.png"), "question": QUESTION}
    with playing(*[Visit.wait] * 3) as endpoint, socket.create_server(("127.0.0.1", 0)) as silent:
        looking = ChainOfFocus(
            _endpoint(endpoint.url),
            config=FocusConfig(max_seconds=0.5),
            limits=ImageLimits(roots=(shelf,), allow_private_hosts=True, http_seconds=PATIENCE),
        )
        async with connect(mcp_server(looking, limits=CallLimits(spare_seconds=PATIENCE))) as client:
            slow = await client.call_tool("look_closely", call)
            assert slow.structured_content is not None
            assert slow.structured_content["stop_reason"] == "time_limit"
        async with connect(mcp_server(looking, limits=CallLimits(spare_seconds=0.2))) as client:
            page = f"http://127.0.0.1:{silent.getsockname()[1]}/photo.png"
            for tool, more in (("look_closely", {"question": QUESTION}), ("zoom", {"box": [0, 0, 9, 9]})):
                lasting = await client.call_tool(tool, {"image": page, **more})
                assert lasting.is_error
                assert f"{tool} did not end within 0.7 seconds, at most 4 calls at a time" in text_of(lasting)
