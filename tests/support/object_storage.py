"""A server that speaks as much of S3 as it takes to read an object: HEAD, and GET with a range, bucket in the path."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

KEY, SECRET = "AKIDEXAMPLE", "a-secret-of-the-operator"


@dataclass
class StoredObject:
    """One object, and how the server misbehaves where it does."""

    body: bytes
    claimed: int | None = None
    """The length that HEAD states; None for the true one."""
    status: int = 200
    code: str = ""
    """The error's code in S3's XML."""
    dripping: bool = False
    """Whether the body comes a byte at a time, until the client leaves."""
    after_head: Callable[[], None] = field(default=lambda: None)


class ObjectStorage:
    """Answers on loopback as `objects` say, by `bucket/key`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}
        self.asked: list[tuple[str, str, str]] = []
        """Method, target and `Authorization` of each request."""
        outer = self
        self._ended = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def _answer(self, with_body: bool) -> None:
                outer.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
                found = outer.objects.get(unquote(urlsplit(self.path).path).lstrip("/"))
                if urlsplit(self.path).query.startswith("list-type"):
                    self._send(200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>", with_body)
                elif found is None:
                    self._send(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>", with_body)
                elif found.status != 200:
                    text = f"<Error><Code>{found.code}</Code><Message>{found.code}</Message></Error>"
                    self._send(found.status, text.encode(), with_body)
                elif found.dripping and with_body:
                    self._drip(found.body)
                else:
                    self._object(found, with_body)
                    if not with_body:
                        found.after_head()

            def _object(self, found: StoredObject, with_body: bool) -> None:
                if not with_body:
                    self._send(200, found.body, False, found.claimed)
                    return
                first, last = 0, len(found.body) - 1
                if (wanted := self.headers.get("Range", "")).startswith("bytes="):
                    begin, _, end = wanted[len("bytes=") :].partition("-")
                    first, last = int(begin), min(int(end), last)
                part = found.body[first : last + 1]
                self._send(206, part, True, ranged=f"bytes {first}-{last}/{len(found.body)}")

            def _send(
                self, status: int, body: bytes, with_body: bool, length: int | None = None, ranged: str = ""
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.send_header("Last-Modified", "Tue, 01 Dec 2026 00:00:00 GMT")
                self.send_header("ETag", '"1"')
                if ranged:
                    self.send_header("Content-Range", ranged)
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def _drip(self, body: bytes) -> None:
                self.send_response(206)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    if outer._ended.wait(0.02):
                        return

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # the client hung up, as it should

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What an operator sets so that `s3://` leads here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
