"""What clients limit: the time until a call is answered, and the size of what it is answered with."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import CallToolResult, ImageContent, ResourceLink, TextContent
from PIL import Image

from cof_agent import ChainOfFocus, Policy, Profile
from cof_agent.integrations.mcp import CallLimits, mcp_server
from cof_agent.policies.loading import load_policy
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, zoom
from tests.support.integrations.hosts import NINE
from tests.support.integrations.mcp_servers import COMMAND, SECONDS, environment, on_http, on_stdio
from tests.support.misbehaving_server import Act, Visit, playing, says
from tests.support.patience import PATIENCE

QUESTION = "Until when is it open?"
ZOOMS = [zoom(0, 0, 480, 330), zoom(200, 100, 700, 500), zoom(100, 50, 600, 400), answer("nothing")]
MOST = 1_048_576
"""Bytes of the largest result that desktop clients take."""


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo whose views are hard to make small."""
    path = tmp_path_factory.mktemp("shelf") / "noise.jpg"
    Image.merge("RGB", [Image.effect_noise((1600, 1200), 90) for _ in "RGB"]).save(path, quality=95)
    return path


def call(picture: Path) -> dict[str, str]:
    return {"image": str(picture), "question": QUESTION}


def agent() -> ChainOfFocus:
    return ChainOfFocus(Policy(ScriptedModel(turns=ZOOMS), Profile(), "script"))


def connect(server: Any, mode: str = "auto") -> Client:
    return Client(server, mode=mode, read_timeout_seconds=SECONDS)


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


# --- time


def waits_for(go: threading.Event) -> Act:
    def act(visit: Visit) -> None:
        go.wait(PATIENCE)
        says(NINE)(visit)

    return act


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_a_call_that_takes_long_is_answered_and_the_same_call_gets_its_result(way: str, picture: Path) -> None:
    go = threading.Event()
    with playing(waits_for(go)) as endpoint:
        words = ["--policy", "openai:m", "--dialect", "cof", "--base-url", endpoint.url, "-o", "api_key=key"]
        words += ["--root", str(picture.parent), "--answer-within", "0.3"]
        if way == "stdio":
            async with connect(on_stdio(*words)) as client:
                await come_back(client, client, picture, go)
        else:
            with on_http(*words) as url:
                async with connect(url, "legacy") as first, connect(url) as second:
                    await come_back(first, second, picture, go)
        assert len(endpoint.requests) == 1, "it was asked once"


async def come_back(first: Client, second: Client, picture: Path, go: threading.Event) -> None:
    found = await first.call_tool("look_closely", call(picture))
    assert not found.is_error
    assert "look_closely has not finished after 0.3 seconds. It goes on: call look_closely again" in text_of(found)
    go.set()
    while found.structured_content["status"] == "unfinished":
        found = await second.call_tool("look_closely", call(picture))
    assert (text_of(found), found.structured_content["answer"]) == ("nine", "nine")


async def test_progress_is_told_while_the_policy_thinks(picture: Path) -> None:
    go, told = threading.Event(), list[tuple[float, float | None]]()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total))
        if len(told) == 4:
            go.set()

    with playing(waits_for(go)) as endpoint:
        policy = load_policy("openai:m", dialect="cof", base_url=endpoint.url, api_key="key")
        limits = CallLimits(answer_within=0, progress_seconds=0.02)
        async with connect(mcp_server(ChainOfFocus(policy), limits=limits)) as client:
            found = await client.call_tool("look_closely", call(picture), progress_callback=progress)
    assert text_of(found) == "nine"
    assert [done for done, _ in told] == sorted({done for done, _ in told}), "each is more than the one before"
    assert max(done for done, _ in told) < 2, "one view was shown"


# --- size


@pytest.mark.parametrize("kb", [16, 64, 300, 900, 1000])
async def test_no_result_is_larger_than_it_may_be(kb: int, picture: Path) -> None:
    limits = CallLimits(max_result_bytes=kb * 1024)
    async with connect(mcp_server(agent(), limits=limits)) as client:
        found = await client.call_tool("look_closely", call(picture))
        assert len(found.model_dump_json().encode()) <= kb * 1024
        assert text_of(found).startswith("nothing\n"), "the words are there in any case"
        assert found.structured_content["answer"] == "nothing"
        links = [block for block in found.content if isinstance(block, ResourceLink)]
        shown = [block for block in found.content if isinstance(block, ImageContent)]
        assert len(shown) == {16: 0, 64: 1}.get(kb, 3)
        assert {link.uri for link in links} <= {view["resource"] for view in found.structured_content["views"]}
        assert len(links) == 3, "none of them is sent whole"
        for link in links:
            read = await client.read_resource(link.uri)
            assert len(read.model_dump_json().encode()) <= kb * 1024
            Image.open(io.BytesIO(base64.b64decode(read.contents[0].blob))).load()
        part = await client.call_tool("zoom", {"image": str(picture), "box": [100, 100, 900, 700]})
        assert len(part.model_dump_json().encode()) <= kb * 1024
        for block in part.content:
            if isinstance(block, ResourceLink):
                assert (await client.read_resource(block.uri)).contents[0].mime_type == "image/jpeg"


async def test_what_fits_is_sent_as_the_policy_saw_it(picture: Path) -> None:
    looking = agent()
    seen = looking.ask(picture, QUESTION)
    async with connect(mcp_server(looking, limits=CallLimits(max_result_bytes=2**25))) as client:
        found = await client.call_tool("look_closely", call(picture))
        sent = [base64.b64decode(block.data) for block in found.content if isinstance(block, ImageContent)]
        assert sent == [looking.store.get(view.image) for view in seen.views[1:]]
        assert not [block for block in found.content if isinstance(block, ResourceLink)]
    assert sum(map(len, sent)) > MOST, "what is tested here is larger than clients take"


async def test_without_resources_nothing_is_linked_to(picture: Path) -> None:
    async with connect(mcp_server(agent(), keep_runs=0)) as client:
        found = await client.call_tool("look_closely", call(picture))
        assert "for a result has its limit)" in text_of(found)
        assert not [block for block in found.content if isinstance(block, ResourceLink)]
        assert len(found.model_dump_json().encode()) <= 900 * 1024


async def test_an_answer_that_is_too_long_by_itself_is_no_answer(tmp_path: Path, picture: Path) -> None:
    long = Policy(ScriptedModel(turns=[answer(" ".join(map(str, range(8_000))))]), Profile(), "script")
    async with connect(mcp_server(ChainOfFocus(long), limits=CallLimits(max_result_bytes=16 * 1024))) as client:
        found = await client.call_tool("look_closely", call(picture))
        assert found.is_error
        assert "more than the 16 that a result may have" in text_of(found)


def test_on_the_wire_it_is_as_small_and_old_clients_get_no_links(tmp_path: Path, picture: Path) -> None:
    version = "2025-03-26"
    (tmp_path / "script.json").write_text(json.dumps(ZOOMS))
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked = {"name": "look_closely", "arguments": call(picture)}
    sent = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": asked},
    ]
    words = [*COMMAND, "--root", str(picture.parent), "--policy", f"script:{tmp_path / 'script.json'}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("".join(json.dumps(message) + "\n" for message in sent).encode())
        server.stdin.flush()
        lines = [server.stdout.readline() for _ in range(2)]
        server.communicate(timeout=SECONDS)
    assert json.loads(lines[0])["result"]["protocolVersion"] == version
    assert len(lines[1]) <= 900 * 1024 < MOST
    kinds = [block["type"] for block in json.loads(lines[1])["result"]["content"]]
    assert (kinds.count("image"), kinds.count("resource_link")) == (3, 0)


def test_by_default_both_are_below_what_desktop_clients_allow() -> None:
    assert CallLimits().max_result_bytes < MOST
    assert 0 < CallLimits().answer_within < 60
