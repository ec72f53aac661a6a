from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import random
import ssl
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.exceptions import ContextOverflowError, ModelRateLimitError
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatResult
from langgraph.errors import GraphInterrupt

from cof_agent.errors import PolicyError
from cof_agent.policies.calling import acall, call
from cof_agent.policies.deadline import OutOfTimeError
from cof_agent.policies.endpoint_errors import (
    MAX_WORDS,
    NO_JSON,
    BrokenReplyError,
    EndpointFailure,
    is_endpoint,
    read_failure,
)
from cof_agent.policies.redaction import hide
from cof_agent.policies.retry import Retry
from cof_agent.policies.script import ScriptedModel
from tests.support.patience import PATIENCE, TIMES


class Response:
    def __init__(self, status: int | None, headers: dict[str, str]) -> None:
        self.status_code, self.headers = status, headers


class HttpError(Exception):
    """As the clients of OpenAI and Anthropic have them."""

    def __init__(self, status: int, said: Any = "words", **headers: str) -> None:
        super().__init__(f"Error code: {status} - {said}")
        self.status_code, self.body = status, said if isinstance(said, dict) else {"error": {"message": said}}
        self.response = Response(status, {name.replace("_", "-"): value for name, value in headers.items()})


class HttpxError(Exception):
    """As httpx has it: the status is the response's."""

    response = Response(503, {"Retry-After": "2"})


class GoogleError(Exception):
    code = 503


class BotoError(Exception):
    response: dict[str, Any]

    def __init__(self) -> None:
        self.response = {"ResponseMetadata": {"HTTPStatusCode": 503}, "Error": {}}


class APIConnectionError(Exception):
    pass


class ResponseError(Exception):
    status_code = -1


class APIError(Exception):
    def __init__(self, words: str, **body: Any) -> None:
        super().__init__(words)
        self.body = body


def trouble(error: BaseException, *, endpoint: bool = True, secrets: Any = ()) -> EndpointFailure:
    found = read_failure(error, endpoint=endpoint, secrets=secrets)
    assert found
    return found


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_statuses_that_pass(status: int) -> None:
    found = trouble(HttpError(status), endpoint=False)
    assert (found.passes, found.status, found.words) == (True, status, f"HTTP {status}: words")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 415, 422, 451, 501, 505])
def test_statuses_that_do_not(status: int) -> None:
    found = trouble(HttpError(status), endpoint=False)
    assert (found.passes, found.wait) == (False, None)
    verdict = Retry().after(found, 1, 60)
    assert isinstance(verdict, PolicyError)
    assert f"HTTP {status}: words" in str(verdict)


@pytest.mark.parametrize("error", [HttpxError("x"), GoogleError("x"), BotoError()])
def test_the_status_is_found_wherever_a_client_keeps_it(error: Exception) -> None:
    for one in (error, caused(RuntimeError("wrapped"), error)):
        assert (trouble(one, endpoint=False).status, trouble(one).passes) == (503, True)


@pytest.mark.parametrize(
    "error",
    [
        APIConnectionError("Connection error."),
        ConnectionResetError(104, "reset"),
        ModelRateLimitError("slow"),
        BrokenReplyError("ended"),
        ResponseError("unexpected EOF"),
        APIError("boom", type="server_error"),
        caused(RuntimeError("wrapped"), ConnectionRefusedError(111, "refused")),
    ],
)
def test_connections_and_streams_that_break_pass(error: Exception) -> None:
    assert trouble(error, endpoint=False).passes


@pytest.mark.parametrize(
    "error",
    [
        json.JSONDecodeError("x", "{", 1),
        ValueError("No generations found in stream."),
        RuntimeError("Event loop is closed"),
        IndexError("list"),
        TimeoutError(),
    ],
)
def test_replies_that_cannot_be_read_pass_where_an_endpoint_sent_them(error: Exception) -> None:
    assert trouble(error, endpoint=True).passes
    assert read_failure(error, endpoint=False) is None


@pytest.mark.parametrize(
    "error",
    [RuntimeError("out of memory"), ValueError("x"), KeyError("x"), PolicyError("no weights"), OutOfTimeError("late"),
     caused(PolicyError("download failed"), ConnectionResetError("x"))],
)  # fmt: skip
def test_what_a_model_raises_itself_is_no_trouble_of_an_endpoint(error: Exception) -> None:
    assert read_failure(error, endpoint=True) is None


def test_what_waiting_does_not_mend_does_not_pass() -> None:
    assert not trouble(HttpError(429, {"error": {"message": "no money", "code": "insufficient_quota"}})).passes
    assert not trouble(
        caused(APIConnectionError("Connection error."), ssl.SSLCertVerificationError("self-signed"))
    ).passes
    assert not trouble(APIError("bad", type="invalid_request_error")).passes
    assert not trouble(APIError("bad", code=400)).passes
    overflow = trouble(ContextOverflowError("too long"))
    assert (overflow.too_long, overflow.passes) == (True, False)
    assert not trouble(HttpError(500, x_should_retry="false")).passes
    assert trouble(HttpError(400, x_should_retry="true")).passes


def test_how_long_a_server_asks_to_wait() -> None:
    assert trouble(HttpError(429, retry_after="7")).wait == 7
    assert trouble(HttpError(503, Retry_After="0.25")).wait == 0.25
    assert trouble(HttpError(429, retry_after_ms="1500", retry_after="9")).wait == 1.5
    date = int(time.time()) + 30
    soon = trouble(HttpError(429, Retry_After=formatdate(date, usegmt=True))).wait
    assert soon is not None
    assert date - time.time() <= soon <= 30
    assert trouble(HttpError(429, Retry_After=formatdate(0, usegmt=True))).wait == 0
    for odd in ("soon", "", "-3", "nan", "inf", "1e400", "Thu, 99 Foo 2099"):
        assert trouble(HttpError(429, Retry_After=odd)).wait is None
    assert trouble(HttpError(401, Retry_After="7")).wait is None


def test_pauses_grow_and_spread_and_end_at_the_deadline() -> None:
    failed = EndpointFailure("x", True)
    retry = Retry(retries=40)
    random.seed(1)
    for attempt, bound in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (30, 8.0)):
        pauses = [retry.after(failed, attempt, 100) for _ in range(200)]
        assert all(isinstance(pause, float) and 0 <= pause <= bound for pause in pauses)
        assert max(pauses) > 0.8 * bound  # type: ignore[type-var,operator]
        assert min(pauses) < 0.2 * bound  # type: ignore[type-var,operator]
    assert all(retry.after(failed, 30, 0.1) <= 0.1 for _ in range(50))  # type: ignore[operator]
    asked = [retry.after(EndpointFailure("x", True, wait=3), 1, 3.2) for _ in range(50)]
    assert all(3 <= pause <= 3.2 for pause in asked)  # type: ignore[operator]


def test_when_there_is_no_other_attempt() -> None:
    failed = EndpointFailure("HTTP 503: busy", True, 503)
    assert str(Retry(2).after(failed, 3, 60)) == "the endpoint failed in 3 attempts, the last time: HTTP 503: busy"
    assert str(Retry(0).after(failed, 1, 60)) == "the endpoint failed in 1 attempt: HTTP 503: busy"
    late = Retry().after(EndpointFailure("HTTP 429: slow", True, 429, wait=60), 1, 12.34)
    assert str(late) == "the endpoint asks to wait 60.0 seconds and 12.3 are left: HTTP 429: slow"
    assert "ends in /v1" in str(Retry().after(EndpointFailure("HTTP 404: no", False, 404), 1, 60))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"error": {"message": "m1"}}, "m1"),
        ({"message": "m2"}, "m2"),
        ({"error": "m3"}, "m3"),
        ({"detail": "m4"}, "m4"),
        ({"detail": [{"msg": "m5"}]}, '[{"msg": "m5"}]'),
        ({"error": {"message": "x" * 10_000}}, "x" * (MAX_WORDS - 1) + "…"),
        ({}, "Error code: 400 - {}"),
    ],
)
def test_the_servers_words_in_their_usual_forms(said: dict[str, Any], words: str) -> None:
    assert trouble(HttpError(400, said)).words == f"HTTP 400: {words}"


def test_a_client_that_only_says_connection_error_is_given_its_cause() -> None:
    error = caused(APIConnectionError("Connection error."), OSError("[Errno 111] Connection refused"))
    assert trouble(error).words == "Connection error: [Errno 111] Connection refused"
    for unread in (json.JSONDecodeError("Expecting value", "", 0), RecursionError("maximum recursion depth exceeded")):
        assert trouble(unread).words == NO_JSON
    assert "--base-url" in NO_JSON


class LocalProtocolError(Exception):
    """httpx's, for a header that HTTP does not allow."""


def test_what_cannot_be_sent_is_not_tried_again() -> None:
    found = trouble(caused(APIConnectionError("Connection error."), LocalProtocolError("Illegal header value b'x'")))
    assert not found.passes
    assert str(Retry().after(found, 1, 60)) == (
        "the call to the endpoint failed: Connection error: Illegal header value b'x'"
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("<html><head><title>T</title><style>s</style></head><body><h1>502</h1>\n<hr>nginx</body>", "502 nginx"),
        ("<!doctype html>\n<html><title>Shop</title><script>if (a < b) x()</script>", "Shop"),
        ("<HTML>" + "<p>word " * 900, "word " * 31 + "word…"),
        ("<html>", ""),
    ],
)
def test_of_a_page_only_its_words_are_kept(said: str, words: str) -> None:
    expected = "HTTP 502: a page of HTML" + (f": {words}" if words else "")
    assert trouble(HttpError(502, said)).words == expected


SECRET = "correct-horse/battery"


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcDEF123.",
        "Incorrect API key provided: sk-abc***wxyz.",
        "Authorization: Bearer eyJhbGciOi.abc-DEF_1",
        "authorization: basic dXNlcjpwYXNzd29yZA==",
        "at http://user:hunter2@host:8000/v1",
        "at https://host/v1?api_key=abc123&x=1",
        "at http://user:abc/hunter2@host:8000/v1",
        "at http://user:abc@hunter2@host:8000/v1",
        "at http://user:a?bc#hunter2@host:8000/v1",
        f"you sent {SECRET}!",
        "you sent correct-horse%2Fbattery",
        "gsk_0123456789abcdefABCDEF hf_0123456789abcdefABCDEF AIzaSyA0123456789abcdef",
    ],
)
def test_keys_are_hidden(text: str) -> None:
    hidden = hide(text, [SECRET])
    assert "[hidden]" in hidden
    for part in ("abc", "eyJ", "dXN", "hunter2", "horse", "wxyz", "0123"):
        assert part not in hidden


def test_a_secret_is_hidden_as_python_shows_it() -> None:
    for secret in ("hunter2\nhunter2", "hünter2-hünter2"):
        for shown in (repr(secret), repr(f"Bearer {secret}".encode())):
            assert "nter2" not in hide(f"Illegal header value {shown}", [secret])


def test_plain_words_stay() -> None:
    for text in (
        "task-based bearer of news",
        "the basic idea",
        "hf_hub is a name",
        "max_tokens=5 a@b.c",
        "x and EMPTY",
    ):
        assert hide(text, ["", "x" * 0, "ab"]) == text
    assert hide("x EMPTY xEMPTY", ["EMPTY"]) == "x [hidden] xEMPTY"


def test_a_secret_is_hidden_before_words_are_cut() -> None:
    words = trouble(HttpError(400, "y" * (MAX_WORDS - 10) + SECRET), secrets=[SECRET]).words
    assert "horse" not in words
    assert "corr" not in words


class FailingModel(ScriptedModel):
    """Raises its errors, one a call, and then says its turn."""

    errors: list[Any]
    calls: int = 0

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.calls += 1
        if self.calls <= len(self.errors):
            raise self.errors[self.calls - 1]
        return super()._generate(messages, *args, **kwargs)


FAST = Retry(base=0.01)
PROMPT: list[BaseMessage] = [HumanMessage("q")]


def reply(model: Any, sync: bool, seconds: float = PATIENCE, retry: Retry = FAST) -> AIMessage:
    if sync:
        return call(model, PROMPT, {}, seconds, retry)
    return asyncio.run(acall(model, PROMPT, {}, seconds, retry))


@pytest.mark.parametrize("sync", [True, False])
def test_any_model_is_asked_again_after_a_passing_error(sync: bool) -> None:
    model = FailingModel(
        turns=["42"], errors=[HttpError(500), HttpError(429, Retry_After="0.05"), ConnectionResetError()]
    )
    assert reply(model, sync).text == "42"
    assert model.calls == 4
    model = FailingModel(turns=["42"], errors=[HttpError(500)] * 9)
    with pytest.raises(PolicyError, match="failed in 5 attempts, the last time: HTTP 500: words"):
        reply(model, sync)
    assert model.calls == 5


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("error", [RuntimeError("mine"), TimeoutError("mine"), PolicyError("mine"), GraphInterrupt(())])
def test_what_is_not_an_endpoints_failure_comes_through_as_it_is(error: Exception, sync: bool) -> None:
    model = FailingModel(turns=["42"], errors=[error])
    with pytest.raises(type(error)) as raised:
        reply(model, sync)
    assert (str(raised.value), model.calls) == (str(error), 1)


@pytest.mark.parametrize("sync", [True, False])
def test_no_attempt_and_no_pause_outlasts_the_time(sync: bool) -> None:
    for seconds in TIMES:
        began = time.monotonic()
        model = FailingModel(turns=["42"], errors=[HttpError(500)] * 99_999)
        with pytest.raises(OutOfTimeError, match=f"within the {seconds} seconds that were left") as raised:
            reply(model, sync, seconds, Retry(retries=99_999, base=36_000, cap=36_000))
        assert seconds <= time.monotonic() - began < PATIENCE
        if "(what failed before: HTTP 500: words" in str(raised.value):  # else its first failure came too late
            break
    assert "(what failed before: HTTP 500: words" in str(raised.value)
    asked = FailingModel(turns=["42"], errors=[HttpError(429, Retry_After="3600")])
    with pytest.raises(PolicyError, match=r"asks to wait 3600\.0 seconds and \d+\.\d are left"):
        reply(asked, sync)
    assert asked.calls == 1


class LateModel(FailingModel):
    """Fails when its time is over."""

    hour: list[float]

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.hour[0] += 2 * PATIENCE
        return super()._generate(messages, *args, **kwargs)


@pytest.mark.parametrize("sync", [True, False])
def test_a_failure_that_comes_when_the_time_is_over_is_the_last(sync: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LateModel(turns=["42"], errors=[HttpError(500)] * 9, hour=[0.0])
    monkeypatch.setattr(
        "cof_agent.policies.calling.time", SimpleNamespace(monotonic=lambda: model.hour[0], sleep=time.sleep)
    )
    with pytest.raises(OutOfTimeError, match=r"what failed before: HTTP 500: words"):
        reply(model, sync)
    assert model.calls == 1


class DeafModel(ScriptedModel):
    """Goes on streaming when it is cancelled, as asyncio.wait_for may make any client do before Python 3.12."""

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
            await run_manager.on_llm_new_token("hm")


def test_a_stream_that_does_not_hear_of_its_end_is_ended() -> None:
    with pytest.raises(OutOfTimeError, match=r"within the 0\.2 seconds"):
        reply(DeafModel(turns=["42"]), False, 0.2)


@pytest.mark.parametrize("sync", [True, False])
def test_an_error_is_raised_without_the_clients_own(sync: bool) -> None:
    for error in (HttpError(401, f"Incorrect API key: {SECRET} sk-123456"), RuntimeError("key sk-123456 is wrong")):
        with pytest.raises(PolicyError) as raised:
            reply(FailingModel(turns=["42"], errors=[error]), sync)
        assert (raised.value.__cause__, raised.value.__context__) == (None, None)
        assert "sk-" not in str(raised.value)
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_only_models_of_providers_are_endpoints() -> None:
    from langchain_openai import ChatOpenAI

    assert is_endpoint(ChatOpenAI)
    assert not is_endpoint(ScriptedModel)
    assert not is_endpoint(FailingModel)
