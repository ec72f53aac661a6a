"""The whole loop against a server that misbehaves."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from cof_agent import ChainOfFocus, FocusConfig, Policy, Profile, open_image
from cof_agent.agent import FocusResult
from cof_agent.loop.state import Status, StopReason
from cof_agent.policies.endpoint import load_endpoint
from tests.support.conversations import answer, photo, zoom
from tests.support.misbehaving_server import (
    Act,
    MisbehavingServer,
    Visit,
    cut_json,
    echoes_the_key,
    half_a_json,
    half_a_stream,
    keeps_silent,
    no_choices,
    playing,
    refuses,
    resets,
    says,
    sends,
    stalls,
    stream_error,
    trickles,
)
from tests.support.patience import PATIENCE, TIMES

BOX = [10, 20, 60, 70]


class Mode(NamedTuple):
    """How the loop is driven."""

    provider: str
    dialect: str
    streaming: bool
    sync: bool

    def look(self) -> Act:
        if self.dialect == "cof":
            return says(zoom(*BOX))
        return says("I look.", {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": BOX}})

    def answer(self) -> Act:
        return says(answer("42") if self.dialect == "cof" else "42")

    def policy(self, server: MisbehavingServer, **options: Any) -> Policy:
        if self.provider == "openai":
            options = {"base_url": server.url, "streaming": self.streaming, "api_key": "sk-the-key-123", **options}
        else:
            options = {"base_url": server.root, **options}
        model = load_endpoint(f"{self.provider}:m", **{"timeout": PATIENCE, **options})
        return Policy(model, Profile(dialect=self.dialect), f"{self.provider}:m")

    def ask(self, server: MisbehavingServer, *, config: FocusConfig | None = None, **options: Any) -> FocusResult:
        agent = ChainOfFocus(self.policy(server, **options), config=config or FocusConfig(max_retries=2))
        return self.put(agent)

    def put(self, agent: ChainOfFocus) -> FocusResult:
        return agent.ask(photo(), "What?") if self.sync else asyncio.run(agent.aask(photo(), "What?"))


PLAIN = [Mode("openai", "cof", False, True), Mode("openai", "native", False, False)]
STREAMED = [Mode("openai", "native", True, True), Mode("openai", "cof", True, False)]
OLLAMA = [Mode("ollama", "cof", True, True), Mode("ollama", "native", True, False)]


def each(modes: list[Mode]) -> Any:
    return pytest.mark.parametrize("mode", modes, ids=lambda mode: "-".join(map(str, mode)))


def looked(result: FocusResult) -> None:
    """The view and the turns before the failure are there."""
    assert len(result.views) == 2
    assert [turn.role for turn in result.trajectory.turns][:3] == ["user", "policy", "tool"]


def recovers(mode: Mode, bad: Act, *, ends: bool = True) -> None:
    """`ends`: the bad act does so by itself, and need not be cut off by the client."""
    for timeout in [PATIENCE] if ends else TIMES:
        with playing(mode.look(), bad, mode.answer()) as server:
            result = mode.ask(server, timeout=timeout)
            if len(server.requests) == 3 and len(result.views) == 2:  # else a good reply was cut off, too
                break
    assert (result.status, result.answer, result.message) == (Status.ANSWERED, "42", None)
    looked(result)
    assert len(server.requests) == 3
    assert server.requests[1] == server.requests[2], "the very same call once more"
    assert result.usage.policy_calls == 2
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (200, 40)


@each([*PLAIN, *STREAMED, *OLLAMA])
@pytest.mark.parametrize(
    "bad",
    [
        lambda: refuses(500, "oops"),
        lambda: refuses(429, "slow down", Retry_After="0.2"),
        lambda: sends(b"<html>bad gateway</html>", "text/html", 502),
        half_a_json,
        cut_json,
        lambda: sends(b""),
        resets,
        keeps_silent,
    ],
    ids=["500", "429", "html-502", "half-json", "cut-json", "empty", "reset", "silence"],
)
def test_a_failure_that_passes(bad: Callable[[], Act], mode: Mode) -> None:
    recovers(mode, bad(), ends=bad is not keeps_silent)


def stalled() -> Act:
    return stalls("<answer>4")


@each([*STREAMED, *OLLAMA])
@pytest.mark.parametrize(
    "bad",
    [
        lambda: half_a_stream("<think>I almost"),
        lambda: half_a_stream("The answer is 4", mid_event=True),
        lambda: half_a_stream("4", reset=True),
        lambda: stream_error("I ", message="engine died", type="server_error", code=500),
        stalled,
        lambda: says("<answer>4", finish=None, done=False),
        lambda: sends(b"", "text/event-stream"),
    ],
    ids=["half", "half-event", "reset", "error", "stall", "no-end", "empty"],
)
def test_a_stream_that_breaks_is_not_an_answer(bad: Callable[[], Act], mode: Mode) -> None:
    recovers(mode, bad(), ends=bad is not stalled)


@each(STREAMED)
def test_a_stream_that_the_server_gave_up_is_not_an_answer(mode: Mode) -> None:
    recovers(mode, says("<answer>4", finish="abort"))
    recovers(mode, no_choices())


@each(PLAIN)
def test_a_reply_without_choices_or_half_sent_is_asked_for_again(mode: Mode) -> None:
    recovers(mode, no_choices())
    recovers(mode, stalls("x"), ends=False)


@each([PLAIN[0]])
def test_a_whole_reply_needs_no_finish_reason(mode: Mode) -> None:
    with playing(says(answer("42"), finish=None)) as server:
        assert mode.ask(server).answer == "42"


@each([PLAIN[0], STREAMED[1]])
def test_a_date_to_wait_for(mode: Mode) -> None:
    recovers(mode, refuses(503, "later", Retry_After=formatdate(time.time() + 1, usegmt=True)))


@each([*PLAIN, *STREAMED, *OLLAMA])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_ends_the_run_at_once_in_the_servers_words(status: int, mode: Mode) -> None:
    with playing(mode.look(), refuses(status, "the model `m` was not liked"), mode.answer()) as server:
        result = mode.ask(server)
        assert (result.status, result.stop_reason, result.answer) == (Status.FAILED, StopReason.POLICY_ERROR, None)
        assert (result.message or "").startswith(
            f"the endpoint refused the call: HTTP {status}: the model `m` was not liked"
        )
        looked(result)
        assert len(server.requests) == 2


@each([*PLAIN, *STREAMED, OLLAMA[0]])
def test_a_failure_that_stays(mode: Mode) -> None:
    with playing(mode.look(), *[refuses(503, "overloaded")] * 5) as server:
        result = mode.ask(server)
        assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.POLICY_ERROR)
        assert result.message == "the endpoint failed in 3 attempts, the last time: HTTP 503: overloaded"
        looked(result)
        assert len(server.requests) == 4


def test_the_wait_a_server_asks_for_must_fit_the_run() -> None:
    mode = PLAIN[0]
    with playing(mode.look(), refuses(429, "come back later", Retry_After="3600")) as server:
        result = mode.ask(server)
        assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.POLICY_ERROR)
        assert "asks to wait 3600.0 seconds and" in (result.message or "")
        assert "HTTP 429: come back later" in (result.message or "")
        assert result.usage.seconds < PATIENCE
        assert len(server.requests) == 2


def test_retries_can_be_turned_off() -> None:
    with playing(refuses(500, "oops")) as server:
        result = PLAIN[0].ask(server, config=FocusConfig(max_retries=0))
        assert result.message == "the endpoint failed in 1 attempt: HTTP 500: oops"


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        policy = Policy(load_endpoint("openai:m", base_url=url), Profile(), "openai:m")
        result = ChainOfFocus(policy, config=FocusConfig(max_retries=1)).ask(photo(), "What?")
    assert result.status is Status.FAILED
    assert "failed in 2 attempts" in (result.message or "")
    assert "refused" in (result.message or ""), "not only: Connection error."


@each([PLAIN[0], STREAMED[0]])
def test_html_where_an_api_should_be(mode: Mode) -> None:
    with playing(*[sends(b"<html>Welcome to nginx</html>", "text/html")] * 3) as server:
        result = mode.ask(server)
        assert (result.status, result.stop_reason) == (Status.FAILED, StopReason.POLICY_ERROR)


@each([*PLAIN, *STREAMED])
def test_a_web_server_where_an_api_should_be_says_so_in_one_line(mode: Mode) -> None:
    with (
        playing() as never_asked,
        ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as files,
    ):
        thread = threading.Thread(target=files.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        result = mode.ask(never_asked, base_url=f"http://127.0.0.1:{files.server_port}/v1")
        files.shutdown()
        thread.join(PATIENCE)
    assert (result.message or "").startswith(
        "the endpoint refused the call: HTTP 501: a page of HTML: Error response Error code: 501 Message: Unsupported"
    )
    assert (result.message or "").endswith("(check the base_url: what answers there takes no chat completions)")
    assert not any(sign in (result.message or "") for sign in "<>\n")
    assert len(result.message or "") < 320


def test_a_page_instead_of_a_reply_is_said_in_one_line() -> None:
    page = b"<!DOCTYPE html>\n<html><head><title>Shop &amp; more</title></head><body><script>x()</script></body></html>"
    with playing(sends(page, "text/html")) as server:
        message = PLAIN[0].ask(server).message or ""
        assert "a page of HTML: Shop & more" in message
        assert not any(sign in message for sign in "<\n")


@each([PLAIN[0], STREAMED[1]])
def test_a_server_may_say_none_where_there_is_no_key(mode: Mode) -> None:
    with playing(refuses(400, "none of the models fits, the choice is none")) as server:
        assert "none of the models fits, the choice is none" in (mode.ask(server, api_key=None).message or "")


@each([*PLAIN, *STREAMED])
def test_a_header_that_cannot_be_sent_is_not_tried_again(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    with playing() as server:
        policy = mode.policy(server)
        model: Any = policy.model
        for client in (model.root_client, model.root_async_client):
            client.api_key = "hunter2-hidden\nkey"
        result = mode.put(ChainOfFocus(policy, config=FocusConfig(max_retries=2)))
        assert (result.status, server.requests) == (Status.FAILED, [])
        assert "Illegal header value" in (result.message or "")
        assert not [record for record in caplog.records if "attempt" in record.getMessage()]


def test_a_huge_error_is_cut_and_a_huge_reply_read() -> None:
    mode = PLAIN[0]
    with playing(refuses(400, "x" * 3_000_000)) as server:
        assert len(mode.ask(server).message or "") < 700
    with playing(says("<think>" + "hm " * 500_000 + "</think>" + answer("42"))) as server:
        assert mode.ask(server).answer == "42"


def never_ends(mode: Mode, bad: Act, *, closes: bool) -> Act:
    """A look, and then `bad` for ever, or until the last answer is asked for."""

    def act(visit: Visit) -> None:
        said = json.dumps(visit.body)
        if closes and json.dumps(Profile().prompts.closing)[1:-1] in said:
            mode.answer()(visit)
        else:
            (bad if '"assistant"' in said else mode.look())(visit)

    return act


@each([*PLAIN, *STREAMED, *OLLAMA])
@pytest.mark.parametrize("closes", [True, False], ids=["at-last", "never"])
@pytest.mark.parametrize("bad", [keeps_silent, stalled, trickles], ids=["silence", "stall", "trickle"])
def test_what_never_ends_is_cut_off(bad: Callable[[], Act], closes: bool, mode: Mode) -> None:
    for seconds in TIMES:
        rest = PATIENCE if closes else seconds
        limits = FocusConfig(max_seconds=seconds + rest, closing_share=rest / (seconds + rest), max_retries=2)
        with playing(*[never_ends(mode, bad(), closes=closes)] * 4) as server:
            result = mode.ask(server, config=limits)
        if len(result.views) == 2:  # else the look was cut off, too
            break
    looked(result)
    assert result.stop_reason is StopReason.TIME_LIMIT
    if closes:
        assert (result.status, result.answer) == (Status.ANSWERED, "42")
        assert result.usage.seconds >= seconds
    else:
        assert result.status is Status.BUDGET
        assert "did not reply within" in (result.message or "")
        assert result.usage.seconds >= 2 * seconds
    assert result.usage.seconds < PATIENCE


def test_an_abandoned_stream_ends() -> None:
    before = set(threading.enumerate())
    with playing(trickles(), trickles()) as server:
        result = STREAMED[0].ask(server, config=FocusConfig(max_seconds=0.6))
        assert result.status is Status.BUDGET
        left = [thread for thread in threading.enumerate() if thread.name == "cof-policy-call" and thread not in before]
        for thread in left:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in left)


def test_attempts_have_ids_of_their_own_in_a_stream() -> None:
    async def run() -> list[Any]:
        with playing(half_a_stream("<think>No"), says(answer("42"))) as server:
            agent = ChainOfFocus(STREAMED[1].policy(server))
            image = "data:image/png;base64," + base64.b64encode(open_image(photo()).data).decode()
            given: Any = {"image": image, "question": "What?"}
            return [part async for part in agent.graph.astream(given, stream_mode="messages")]

    pieces = [message for message, _ in asyncio.run(run()) if message.type.startswith("AIMessageChunk")]
    broken, whole = dict.fromkeys(message.id for message in pieces)
    assert "".join(message.text for message in pieces if message.id == broken) == "<think>No"
    assert "".join(message.text for message in pieces if message.id == whole) == answer("42")


KEY, PASSWORD = "correct-horse-battery-9", "staple7staple"


@each([*PLAIN, *STREAMED])
@pytest.mark.parametrize("where", ["key", "password", "header"])
def test_keys_stay_where_they_are(where: str, mode: Mode, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        playing(
            mode.look(), refuses(500, f"you sent {KEY} and {PASSWORD} sk-{KEY}"), mode.answer(),
            mode.look(), echoes_the_key(401),
        ) as server,
        SqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as saver,
    ):  # fmt: skip
        options: dict[str, Any] = {"api_key": KEY}
        if where == "password":
            options = {"base_url": server.url.replace("//", f"//someone:{PASSWORD}@"), "api_key": None}
        elif where == "header":
            options = {"default_headers": {"X-Api-Key": PASSWORD}, "api_key": KEY}
        if where == "key":
            server.acts[1] = refuses(500, f"you sent {KEY}, Bearer {KEY}")
        elif where == "password":
            server.acts[1] = refuses(500, f"you sent {PASSWORD}")
        else:
            server.acts[1] = refuses(500, f"you sent {KEY} with {PASSWORD}")
        policy = mode.policy(server, **options)
        checkpointer = saver if mode.sync else None
        agent = ChainOfFocus(policy, save=tmp_path, checkpointer=checkpointer)
        first, second = mode.put(agent), mode.put(agent)
        assert (first.answer, second.status) == ("42", Status.FAILED)
        assert "[hidden]" in (second.message or "")
        assert "HTTP 401: Incorrect API key provided" in (second.message or "")
        sent = server.headers[0]
        if where == "password":
            assert sent["authorization"].startswith("Basic ")
        else:
            assert sent["authorization"] == f"Bearer {KEY}"
        if where == "header":
            assert sent["x-api-key"] == PASSWORD
        kept = [repr(policy), repr(agent), str(policy.model), repr(policy.model.model_dump())]
        kept += [json.dumps(result.trajectory.to_json()) for result in (first, second)]
        kept += [record.getMessage() + str(record.exc_text) for record in caplog.records]
        saver.conn.commit()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    data = b"\n".join([*map(str.encode, kept), caplog.text.encode(), *(path.read_bytes() for path in files)])
    secrets = [KEY, PASSWORD, "c29tZW9uZTpzdGFwbGU3c3RhcGxl"]
    assert [secret for secret in secrets if secret.encode() in data] == []
    assert any("attempt 1 of 5 failed" in record.getMessage() for record in caplog.records)
