"""Images over HTTP, from servers that really run on this machine, most of them badly behaved."""

from __future__ import annotations

import base64
import gzip
import io
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image

from cof_agent import build_graph
from cof_agent.errors import ImageError
from cof_agent.images import ImageLimits, open_image
from cof_agent.images.display_name import show_url
from cof_agent.images.receiving import connection
from cof_agent.images.store import MemoryStore
from tests.support.conversations import answer, scripted
from tests.support.patience import PATIENCE


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((64, 48)).save(buffer, kind)
    return buffer.getvalue()


PNG, WEBP = encoded("PNG"), encoded("WEBP")
OPEN = ImageLimits(allow_private_hosts=True, http_seconds=PATIENCE)
PUBLIC = ImageLimits(http_seconds=PATIENCE)
HASTY = ImageLimits(allow_private_hosts=True, http_seconds=0.3)

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers on loopback as `answers` say, by path, and keeps what it was asked."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {"/photo.png": sends(PNG)}
        self.asked: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
                answer = outer.answers.get(self.path.partition("?")[0])
                try:
                    if answer is None:
                        self.send_error(404)
                    else:
                        answer(self)
                except OSError:
                    pass  # the client hung up, as it should

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a failed handshake

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if context:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/photo.png", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def sends(body: bytes, status: int = 200, **headers: object) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        fields = {"Content-Length": len(body), **{key.replace("_", "-"): value for key, value in headers.items()}}
        for key, value in fields.items():
            if value is not None:
                handler.send_header(key, str(value))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirects(to: str, status: int = 302) -> Answer:
    return sends(b"", status, Location=to)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def refused(url: str, message: str, limits: ImageLimits = OPEN) -> str:
    started = time.monotonic()
    with pytest.raises(ImageError, match=message) as caught:
        open_image(url, limits=limits)
    assert time.monotonic() - started < PATIENCE
    return str(caught.value)


def resolves(monkeypatch: pytest.MonkeyPatch, host: str, *answers: list[str]) -> list[str]:
    """Let `host` resolve to one of `answers` after the other; returns the list of names looked up."""
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(name: Any, port: Any, *args: Any, **options: Any) -> Any:
        if isinstance(name, bytes):
            name = name.decode()
        if name != host:
            return real(name, port, *args, **options)
        addresses = answers[min(len(looked_up), len(answers) - 1)]
        looked_up.append(name)
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


# --- what works


def test_an_image_over_http(server: Server) -> None:
    source = open_image(server.url("/photo.png?key=SECRET#part"), limits=OPEN)
    assert source.data == PNG
    assert source.source == server.url("/photo.png?…")
    path, headers = server.asked[0]
    assert path == "/photo.png?key=SECRET"
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert "authorization" not in headers


def test_up_to_three_redirects_are_followed(server: Server) -> None:
    server.answers |= {
        "/1": redirects("/2", 301),
        "/2": redirects(server.url("/3"), 307),
        "/3": redirects("photo.png", 308),
    }
    assert open_image(server.url("/1"), limits=OPEN).data == PNG
    server.answers["/0"] = redirects("/1")
    refused(server.url("/0"), "redirects more than 3 times")
    assert open_image(server.url("/0"), limits=replace(OPEN, max_redirects=4)).data == PNG
    refused(
        server.url("/3"),
        "more than 0 times",
        replace(OPEN, max_redirects=0),
    )


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": gzip.compress(PNG),
    "deflate": zlib.compress(PNG),
    "deflate, raw": raw_deflate(PNG),
}


@pytest.mark.parametrize("form", PACKED)
def test_compressed_bodies(server: Server, form: str) -> None:
    encoding, body = form.partition(",")[0], PACKED[form]
    server.answers["/packed"] = sends(body, Content_Encoding=encoding)
    assert open_image(server.url("/packed"), limits=OPEN).data == PNG
    server.answers["/packed"] = sends(body[:-12], Content_Encoding=encoding)
    refused(server.url("/packed"), "in the middle of its compressed body")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("X-GZIP", gzip.compress(PNG)),
        ("gzip", gzip.compress(PNG[:50]) + gzip.compress(PNG[50:])),
        ("gzip", gzip.compress(PNG) + b"\0" * 20),
        ("gzip", zlib.compress(PNG)),
        ("deflate", gzip.compress(PNG)),
        ("gzip, identity", gzip.compress(PNG)),
        ("deflate, gzip", gzip.compress(raw_deflate(PNG))),
        ("aws-chunked, gzip", gzip.compress(PNG)),
        ("gzip, aws-chunked", gzip.compress(PNG)),
        *((named, PNG) for named in ("gzip", "deflate", "br", "zstd", "UTF-8", "none", "", ",", "gzip, gzip")),
        ("gzip", WEBP),
        ("deflate", b"P6 1 1 255 abc"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_named_and_what_is_there_may_differ(server: Server, encoding: str, body: bytes) -> None:
    server.answers["/odd"] = sends(body, Content_Encoding=encoding)
    plain = next((each for each in (WEBP, b"P6 1 1 255 abc") if each == body), PNG)
    assert open_image(server.url("/odd"), limits=OPEN).data == plain


def test_a_coding_that_is_not_known_is_named_where_no_image_is_under_it(server: Server) -> None:
    server.answers["/br"] = sends(b"\x1b\x00compressed", Content_Encoding="br")
    refused(server.url("/br"), "unknown content encoding 'br', and is no image without it: download it first")
    server.answers["/many"] = sends(PNG, Content_Encoding=", ".join(["gzip"] * 99))
    refused(server.url("/many"), "was sent in 99 content encodings")


def test_many_small_members_take_no_time(server: Server) -> None:
    server.answers["/many"] = sends(gzip.compress(b"") * 200_000, Content_Encoding="gzip")
    refused(server.url("/many"), "is empty")


def in_turn(*answers: Answer) -> Answer:
    left = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def past() -> str:
    return formatdate(time.time() - 60, usegmt=True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("wait", ["0", "past"])
def test_a_passing_status_is_tried_again(server: Server, status: int, wait: str) -> None:
    busy = sends(b"later", status, Retry_After=past() if wait == "past" else wait)
    server.answers |= {"/busy": in_turn(busy, busy, redirects("/photo.png")), "/photo.png": in_turn(busy, sends(PNG))}
    assert open_image(server.url("/busy"), limits=OPEN).data == PNG
    assert [path for path, _ in server.asked] == ["/busy"] * 3 + ["/photo.png"] * 2


def test_a_server_that_stays_busy_is_left(server: Server) -> None:
    server.answers["/busy"] = sends(b"", 503, Retry_After="0")
    refused(server.url("/busy"), r"HTTP status 503 \(5 tries within .* s\): try again later")
    assert len(server.asked) == 5


@pytest.mark.parametrize("wait", ["3600", "999999999", formatdate(2**31, usegmt=True)])
def test_nobody_waits_beyond_the_limit_of_time(server: Server, wait: str) -> None:
    server.answers["/busy"] = sends(b"", 429, Retry_After=wait)
    refused(server.url("/busy"), r"HTTP status 429 and asks to wait \d+ s \(1 try")
    assert len(server.asked) == 1


@pytest.mark.parametrize("wait", ["soon", "-1", "9" * 5000, "Mon, 99 Xxx 2026", "1e9"])
def test_a_time_that_cannot_be_read_is_ours_to_choose(server: Server, wait: str) -> None:
    server.answers["/busy"] = sends(b"", 429, Retry_After=wait)
    refused(server.url("/busy"), r"HTTP status 429 \(1 try", replace(OPEN, http_seconds=0.4))


def test_body_without_a_length(server: Server) -> None:
    server.answers["/open"] = sends(PNG, Content_Length=None)
    assert open_image(server.url("/open"), limits=OPEN).data == PNG


def test_credentials_are_sent_to_their_host_only_and_never_shown(server: Server) -> None:
    other = Server()
    try:
        server.answers |= {"/away": redirects(other.url("/photo.png")), "/here": redirects("/photo.png")}
        expected = "Basic " + base64.b64encode(b"ann:p@ss").decode()
        source = open_image(server.url("/here", "ann:p%40ss@127.0.0.1"), limits=OPEN)
        assert [headers["authorization"] for _, headers in server.asked] == [expected] * 2
        assert source.source == server.url("/here")
        open_image(server.url("/away", "ann:p%40ss@127.0.0.1"), limits=OPEN)
        assert "authorization" not in other.asked[0][1]
    finally:
        other.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://ann:hunter2@127.0.0.1/photo.png",
        "http://ann:hunter2@127.0.0.1:1/photo.png?token=hunter2",
        "http://ann:hunter2@host:port/",
        "http://ann:hun/ter2@host/",
        "http://ann:hunter2@[::1/",
        "http://ann:hunter2@",
        "http://hunter2@\ud800/",
        "https://ann:hunter2@" + "a" * 70 + ".example/",
        "ftp://ann:hunter2@host/x",
        "file://ann:hunter2@host/x",
    ],
)
def test_no_message_shows_credentials(url: str) -> None:
    with pytest.raises(ImageError) as caught:
        open_image(url, limits=PUBLIC)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        assert "ter2" not in str(error)
        error = error.__cause__


def test_shown_urls() -> None:
    assert show_url("https://u:p@host.example:8443/a/@b.png?sig=1#f") == "https://host.example:8443/a/@b.png?…"
    assert show_url("http://[2001:db8::1]:80/x") == "http://[2001:db8::1]:80/x"
    assert show_url("http://user:secret/@host/") == "http://…"
    assert len(show_url("http://host/" + "x" * 5000)) < 250


def test_redirect_messages_do_not_show_credentials(server: Server) -> None:
    server.answers["/leak"] = redirects("ftp://ann:hunter2@host/x?key=hunter2")
    assert "hunter2" not in refused(server.url("/leak"), "redirects to ftp://host/x")


async def test_a_graph_fetches_with_credentials_and_keeps_none(server: Server) -> None:
    address = server.url("/photo.png?sig=hunter2", "ann:hunter2@127.0.0.1")
    saver, store = InMemorySaver(), MemoryStore()
    graph = build_graph(scripted(answer("1")), checkpointer=saver, limits=OPEN, store=store)
    told = graph.invoke({"image": address, "question": "?"}, {"configurable": {"thread_id": "1"}})
    again = await graph.ainvoke({"image": address, "question": "?"}, {"configurable": {"thread_id": "2"}})
    assert (told["answer"], again["answer"]) == ("1", "1")
    assert told["original"]["source"] == server.url("/photo.png?…")
    assert server.asked[0][1]["authorization"].startswith("Basic ")
    assert "hunter2" not in repr([(kept.checkpoint, kept.metadata, kept.pending_writes) for kept in saver.list(None)])


def test_proxies_of_the_environment_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert open_image(server.url(), limits=OPEN).data == PNG


# --- addresses


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"],
)
def test_loopback_is_refused_however_it_is_written(server: Server, host: str) -> None:
    refused(server.url(host=host), "not a public address|cannot be fetched", PUBLIC)
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("93.184.216.34", True),
        ("172.15.255.255", True),
        ("172.32.0.0", True),
        ("100.63.255.255", True),
        ("223.255.255.255", True),
        ("2606:4700::1111", True),
        ("2001:4860:4860::8888", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("127.0.0.53", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.0.8", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:8.8.8.8", False),
        ("::ffff:127.0.0.1", False),
        ("::8.8.8.8", False),
        ("64:ff9b::808:808", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:7f00:1::", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("fc00::1", False),
        ("fd12:3456::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("100::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert connection.is_public(address) is public


def test_every_redirect_is_checked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host taken for public sends the client on to loopback."""
    monkeypatch.setattr(connection, "is_public", lambda address: address == "127.0.0.2")
    server.answers["/in"] = redirects(server.url("/photo.png", "127.0.0.1"))
    resolves(monkeypatch, "public.example", ["127.0.0.2"])
    listener = Forwarder(server.port)
    try:
        url = f"http://public.example:{listener.port}/in"
        message = refused(url, "leads to 127.0.0.1, which is not a public address", PUBLIC)
        assert server.url() in message
        assert [path for path, _ in server.asked] == ["/in"]
    finally:
        listener.close()


class Forwarder:
    """Passes one connection to 127.0.0.2 on to a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.2", 0))
        self.port = self._listener.getsockname()[1]
        self._target = port
        threading.Thread(target=self._pass_on, daemon=True).start()

    def _pass_on(self) -> None:
        with self._listener.accept()[0] as near, socket.create_connection(("127.0.0.1", self._target)) as far:
            far.sendall(near.recv(65536))
            while data := far.recv(65536):
                near.sendall(data)

    def close(self) -> None:
        self._listener.close()


def test_a_name_is_resolved_once_and_connected_to_where_it_was_checked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second answer would be another one: the connection must not depend on it."""
    looked_up = resolves(monkeypatch, "rebinds.example", ["127.0.0.1"], ["192.0.2.1"])
    assert open_image(server.url(host="rebinds.example"), limits=OPEN).data == PNG
    assert looked_up == ["rebinds.example"]
    assert server.asked[0][1]["host"] == f"rebinds.example:{server.port}"


def test_a_name_that_leads_inside_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, "inside.example", ["127.0.0.1", "::1"])
    refused(server.url(host="inside.example"), "leads to 127.0.0.1.*allow_private_hosts", PUBLIC)
    assert server.asked == []


def test_of_several_addresses_only_the_public_ones_are_tried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, "mixed.example", ["127.0.0.1", "127.0.0.3"])
    monkeypatch.setattr(connection, "is_public", lambda address: address == "127.0.0.3")
    refused(server.url(host="mixed.example"), "cannot be fetched", PUBLIC)
    assert server.asked == []


def test_the_next_address_is_tried_when_one_does_not_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, "two.example", ["127.0.0.4", "127.0.0.1"])
    assert open_image(server.url(host="two.example"), limits=OPEN).data == PNG


def test_tls_is_verified_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("makes its certificate with openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=photos.example "
        f"-addext subjectAltName=DNS:photos.example -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = Server(context)
    try:
        monkeypatch.setattr(httpx, "create_ssl_context", lambda: ssl.create_default_context(cafile=str(certificate)))
        resolves(monkeypatch, "photos.example", ["127.0.0.1"])
        assert open_image(server.url(host="photos.example", scheme="https"), limits=OPEN).data == PNG
        assert names == ["photos.example"]
        refused(server.url(host="localhost", scheme="https"), "certificate verify failed")
        monkeypatch.undo()
        resolves(monkeypatch, "photos.example", ["127.0.0.1"])
        refused(server.url(host="photos.example", scheme="https"), "certificate verify failed")
    finally:
        server.close()


# --- what fails


def test_redirect_to_a_file_is_refused(server: Server) -> None:
    for location in ("file:///etc/passwd", "data:image/png;base64,AAAA", "ftp://host/x", "http://[::1"):
        server.answers["/out"] = redirects(location)
        refused(server.url("/out"), "which is not an http or https address")


def test_redirect_loop(server: Server) -> None:
    server.answers["/loop"] = redirects("/loop")
    refused(server.url("/loop"), "/loop redirects more than 3 times")
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", [204, 206, 304, 404, 501])
def test_other_statuses(server: Server, status: int) -> None:
    server.answers["/status"] = sends(b"" if status in (204, 304) else PNG, status)
    refused(server.url("/status"), f"/status answered with HTTP status {status}: check the address")


def test_redirect_without_a_location(server: Server) -> None:
    server.answers["/nowhere"] = sends(b"", 302)
    refused(server.url("/nowhere"), "HTTP status 302")


def test_bodies_that_are_no_image(server: Server) -> None:
    server.answers |= {"/page": sends(b"<!doctype html><p>photo"), "/empty": sends(b"")}
    refused(server.url("/page"), r"/page is a text, a web page.*the address of the image itself")
    refused(server.url("/empty"), "/empty is empty")


def test_too_large(server: Server) -> None:
    limits = replace(OPEN, max_bytes=1000)
    sent = threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 10_000)
        finally:
            sent.set()

    def modest(handler: BaseHTTPRequestHandler) -> None:
        """Announces little and sends more, all in one go."""
        handler.send_response(200)
        handler.send_header("Content-Length", "500")
        handler.end_headers()
        handler.wfile.write(b"x" * 100_000)

    server.answers |= {"/announced": sends(b"x" * 1001), "/endless": endless, "/modest": modest}
    refused(server.url("/announced"), "/announced is larger than 1,000 bytes.*max_bytes", limits)
    refused(server.url("/endless"), "/endless is larger than 1,000 bytes", limits)
    assert sent.wait(PATIENCE), "the connection was closed"
    refused(server.url("/modest"), "not an image", limits)


def test_compressed_bombs(server: Server) -> None:
    limits = replace(OPEN, max_bytes=2_000_000)
    bomb = gzip.compress(bytes(100_000_000))
    assert len(bomb) < limits.max_bytes
    server.answers |= {
        "/bomb": sends(bomb, Content_Encoding="gzip"),
    }
    refused(server.url("/bomb"), "larger than 2,000,000 bytes", limits)


def test_body_shorter_than_announced(server: Server) -> None:
    server.answers["/short"] = sends(PNG[:50], Content_Length=len(PNG))
    refused(server.url("/short"), "/short cannot be fetched")


def test_what_is_not_http(server: Server) -> None:
    server.answers["/noise"] = lambda handler: handler.wfile.write(b"\x00\x01garbage\r\n\r\n") and None
    server.answers["/silent"] = lambda handler: None
    refused(server.url("/noise"), "/noise cannot be fetched")
    refused(server.url("/silent"), "/silent cannot be fetched")


def drips(head: bytes) -> Answer:
    """Sends `head` at once and then a byte every now and then, for much longer than anybody should wait."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        for _ in range(int(2 * PATIENCE / 0.05)):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    return answer


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /",
    ],
    ids=["status", "headers", "body", "redirect"],
)
def test_a_dripping_server_is_left(server: Server, head: bytes) -> None:
    server.answers["/drip"] = drips(head)
    refused(server.url("/drip"), "/drip did not answer in full within 0.3 s.*http_seconds", HASTY)


def test_redirects_share_one_deadline(server: Server) -> None:
    def slowly(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        redirects("/slow")(handler)

    server.answers["/slow"] = slowly
    refused(server.url("/slow"), "within 0.3 s", HASTY)


def test_a_silent_server_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        refused(f"http://127.0.0.1:{port}/", "within 0.3 s", HASTY)
        refused(f"https://127.0.0.1:{port}/", "within 0.3 s", HASTY)


def test_a_hanging_name_look_up_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: release.wait(2 * PATIENCE) and [])
    try:
        refused("http://hangs.example/", "within 0.3 s", HASTY)
    finally:
        release.set()


def test_nobody_listens_and_names_that_do_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        refused(f"http://127.0.0.1:{deaf.getsockname()[1]}/", "cannot be fetched.*check the address")
    resolves(monkeypatch, "empty.example", [])
    refused("http://empty.example/", "cannot be fetched")

    def unknown(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    refused("http://nowhere.example/", "cannot be fetched.*not known")


@pytest.mark.parametrize(
    "url",
    ["http://", "http:///x.png", "https://:80/", "http:photo.png", "http://host:99999/", "http://a b/"],
)
def test_addresses_that_are_none(url: str) -> None:
    refused(url, "not a valid web address|cannot be fetched", PUBLIC)
