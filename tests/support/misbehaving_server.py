"""A real HTTP server on loopback that speaks OpenAI's chat completions and Ollama's chat, badly where a test says so.

It plays one act a request, in order, and keeps what it was sent.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from tests.support.patience import PATIENCE

Act: TypeAlias = "Callable[[Visit], None]"
"""How one request is answered."""


class Visit(BaseHTTPRequestHandler):
    """One connection. Replies of a known length keep it open, all others end it."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    server: MisbehavingServer
    body: dict[str, Any]

    def do_POST(self) -> None:
        self.close_connection = True
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        act = self.server.next_act(self)
        with suppress(OSError):  # the client may have gone, which is its right
            act(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    @property
    def ollama(self) -> bool:
        return self.path == "/api/chat"

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))

    def start(self, status: int = 200, content_type: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send(self, value: Any, status: int = 200, **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.start(status, Content_Length=str(len(data)), **{"Connection": "keep-alive", **headers})
        self.wfile.write(data)

    def event(self, delta: Mapping[str, Any] | None, finish: str | None = None, **more: Any) -> None:
        """A piece of a stream, in the form of the path."""
        if self.ollama:
            self.line(message={"role": "assistant", "content": (delta or {}).get("content", "")}, done=False)
            return
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
        self.wfile.write(b"data: " + json.dumps(chunk | more).encode() + b"\n\n")
        self.wfile.flush()

    def line(self, **value: Any) -> None:
        self.wfile.write(json.dumps({"model": "m", "created_at": "2026-01-01T00:00:00Z", **value}).encode() + b"\n")
        self.wfile.flush()

    def wait(self) -> None:
        """Until the server closes."""
        self.server.closing.wait(PATIENCE)


class MisbehavingServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, acts: list[Act]) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.acts, self.closing, self.turn = acts, threading.Event(), threading.Lock()
        self.requests: list[dict[str, Any]] = []
        """The JSON bodies received."""
        self.headers: list[dict[str, str]] = []
        """The headers received, names in lower case."""
        self.paths: list[str] = []

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """The base URL for clients of OpenAI's API."""
        return f"{self.root}/v1"

    def next_act(self, visit: Visit) -> Act:
        with self.turn:
            self.requests.append(visit.body)
            self.headers.append({name.lower(): value for name, value in visit.headers.items()})
            self.paths.append(visit.path)
            return self.acts.pop(0) if self.acts else refuses(400, "the server has no acts left")

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def playing(*acts: Act) -> Iterator[MisbehavingServer]:
    server = MisbehavingServer(list(acts))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


# Good replies

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def says(
    text: str,
    *calls: Mapping[str, Any],
    finish: str | None = "stop",
    done: bool = True,
    thought: str = "",
    thought_as: str = "reasoning_content",
) -> Act:
    """A turn: text, and calls as `{"name": …, "arguments": …}`; streamed where that was asked for.

    `done`: a stream says that it is done. `thought`: what a server with a parser for reasoning sends apart from the
    text, and `thought_as` under which name.
    """

    def act(visit: Visit) -> None:
        if visit.ollama:
            asked = [{"function": {"name": call["name"], "arguments": call["arguments"]}} for call in calls]
            visit.start(content_type="application/x-ndjson")
            for piece in _pieces(text):
                visit.line(message={"role": "assistant", "content": piece}, done=False)
            if asked:
                visit.line(message={"role": "assistant", "content": "", "tool_calls": asked}, done=False)
            ended = {"done_reason": finish, "prompt_eval_count": 100, "eval_count": 20} if finish else {}
            if finish:
                visit.line(message={"role": "assistant", "content": ""}, done=True, **ended)
            return
        asked = [
            {"index": n, "id": f"call_{n}", "type": "function",
             "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])}}
            for n, call in enumerate(calls)
        ]  # fmt: skip
        if not visit.streams:
            message = {"role": "assistant", "content": text or None} | ({"tool_calls": asked} if asked else {})
            message |= {thought_as: thought} if thought else {}
            choice = {"index": 0, "message": message} | ({"finish_reason": finish} if finish else {})
            visit.send(_completion(choice))
            return
        visit.start(content_type="text/event-stream")
        for piece in _pieces(thought):
            visit.event({"role": "assistant", "content": None, thought_as: piece})
        for piece in _pieces(text):
            visit.event({"role": "assistant", "content": piece})
        for one in asked:
            visit.event({"tool_calls": [one]})
        if finish:
            visit.event({}, finish)
        if visit.body.get("stream_options", {}).get("include_usage"):
            visit.event(None, usage=USAGE)
        if done:
            visit.wfile.write(b"data: [DONE]\n\n")

    return act


def _completion(*choices: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices} | {
        "usage": USAGE
    }


def _pieces(text: str) -> list[str]:
    return [text[at : at + 8] for at in range(0, len(text), 8)]


# Bad ones


def refuses(status: int, words: str, **headers: str) -> Act:
    """An error with a status, as OpenAI words it (and Ollama, on its own path)."""

    def act(visit: Visit) -> None:
        error = words if visit.ollama else {"message": words, "type": "error", "param": None, "code": None}
        visit.send({"error": error}, status, **headers)

    return act


def echoes_the_key(status: int) -> Act:
    """Says the credentials that it was sent in its error, as several vendors do."""

    def act(visit: Visit) -> None:
        sent = visit.headers.get("Authorization", "no key")
        refuses(status, f"Incorrect API key provided: {sent.split()[-1]} ({sent}) for {visit.path}")(visit)

    return act


def sends(data: bytes, content_type: str = "application/json", status: int = 200, *, claims: int | None = None) -> Act:
    """These bytes; `claims` is the length announced, if it is another."""

    def act(visit: Visit) -> None:
        length = len(data) if claims is None else claims
        visit.start(status, content_type, Content_Length=str(length))
        visit.wfile.write(data)

    return act


def half_a_json() -> Act:
    return sends(json.dumps(_completion({"index": 0})).encode()[:40])


def cut_json() -> Act:
    """Fewer bytes than were announced."""
    return sends(b'{"id": "chatcmpl-1", "choices": [{"mess', claims=5000)


def no_choices() -> Act:
    def act(visit: Visit) -> None:
        if not visit.streams:
            visit.send(_completion())
            return
        visit.start(content_type="text/event-stream")
        visit.event(None)
        visit.wfile.write(b"data: [DONE]\n\n")

    return act


def half_a_stream(text: str, *, mid_event: bool = False, reset: bool = False) -> Act:
    """Some of a turn, then the end of the connection."""

    def act(visit: Visit) -> None:
        if visit.ollama:
            visit.start(content_type="application/x-ndjson")
            visit.line(message={"role": "assistant", "content": text}, done=False)
            return
        visit.start(content_type="text/event-stream")
        visit.event({"role": "assistant", "content": text})
        if mid_event:
            visit.wfile.write(b'data: {"id": "chatcmpl-1", "choi\n\n')
        if reset:
            _reset(visit)

    return act


def stream_error(text: str, **error: Any) -> Act:
    """An error in the middle of a stream, as servers send it there."""

    def act(visit: Visit) -> None:
        if visit.ollama:
            visit.start(content_type="application/x-ndjson")
            visit.line(message={"role": "assistant", "content": text}, done=False)
            visit.wfile.write(json.dumps({"error": error["message"]}).encode() + b"\n")
            return
        visit.start(content_type="text/event-stream")
        visit.event({"role": "assistant", "content": text})
        visit.wfile.write(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")

    return act


def resets() -> Act:
    return _reset


def stalls(text: str) -> Act:
    """Some of a turn, then silence on an open connection."""

    def act(visit: Visit) -> None:
        if visit.streams:
            visit.start(content_type="text/event-stream")
            visit.event({"role": "assistant", "content": text})
        else:
            visit.start(Content_Length="5000")
            visit.wfile.write(b'{"id": "chat')
            visit.wfile.flush()
        visit.wait()

    return act


def keeps_silent() -> Act:
    return Visit.wait


def trickles() -> Act:
    """One small piece after the other, without end."""

    def act(visit: Visit) -> None:
        visit.start(content_type="text/event-stream" if visit.streams else "application/json")
        while not visit.server.closing.wait(0.02):
            if visit.streams:
                visit.event({"role": "assistant", "content": "hm "})
            else:
                visit.wfile.write(b" ")
                visit.wfile.flush()

    return act


def _reset(visit: Visit) -> None:
    visit.wfile.flush()
    visit.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visit.rfile.close()
    visit.wfile.close()
    visit.connection.close()
