"""One image over HTTP, from public addresses only, within a limit of bytes and of seconds.

Import this module only where a URL is fetched: it brings in httpx.
"""

from __future__ import annotations

import base64
import ipaddress
import queue
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from cof_agent.errors import ImageError
from cof_agent.images.display_name import show_url
from cof_agent.images.limits import ImageLimits

_REDIRECTS = (301, 302, 303, 307, 308)

# The IANA special-purpose registries, as far as they are not simply outside of global unicast.
_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
# Loopback, link-local, unique-local, multicast, IPv4-mapped and NAT64 addresses all lie outside of this network.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
# Protocol assignments with Teredo, documentation, and 6to4, which carries an IPv4 address.
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


def is_public(address: str) -> bool:
    """Whether a numeric IPv4 or IPv6 address is one that the public internet routes to an ordinary host."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_V4)
    return ip in _GLOBAL_V6 and not any(ip in network for network in _NOT_PUBLIC_V6)


def fetch(url: str, limits: ImageLimits) -> bytes:
    """The body that an `http:` or `https:` URL answers with, decompressed.

    Proxies and passwords from the environment are not used. A name is resolved once a connection: the addresses found
    are checked, and the connection goes to one of those. Raises ImageError for every way in which this can fail.
    """
    deadline = _Deadline(limits.http_seconds)
    start = here = _parse(url, show_url(url))
    for _ in range(limits.max_redirects + 1):
        name = show_url(str(here))
        try:
            answer = _get(here, _basic(start) if _origin(here) == _origin(start) else None, name, limits, deadline)
        except (TimeoutError, httpcore.TimeoutException):
            raise ImageError(
                f"{name} did not answer in full within {limits.http_seconds:g} s: "
                "try again, download it first, or raise http_seconds in ImageLimits"
            ) from None
        except (OSError, UnicodeError, zlib.error, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise ImageError(
                f"{name} cannot be fetched ({_reason(error)}): check the address and the connection"
            ) from error
        if isinstance(answer, bytes):
            return answer
        here = _follow(here, answer, name)
    raise ImageError(
        f"{show_url(url)} redirects more than {limits.max_redirects} times: use the image's final address, "
        "or raise max_redirects in ImageLimits"
    )


class _Location(str):
    """Where a redirect leads, as the server wrote it."""


def _get(
    url: httpx.URL, authorization: str | None, name: str, limits: ImageLimits, deadline: _Deadline
) -> bytes | _Location:
    headers = [("Accept", "image/*, */*;q=0.5"), ("Accept-Encoding", "identity"), ("User-Agent", "cof-agent")]
    if authorization:
        headers.append(("Authorization", authorization))
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    context = httpx.create_ssl_context() if url.scheme == "https" else None
    backend = _CheckedBackend(name, limits, deadline)
    with (
        httpcore.ConnectionPool(ssl_context=context, network_backend=backend) as pool,
        pool.stream("GET", target, headers=headers) as response,
    ):
        fields = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in response.headers}
        if response.status in _REDIRECTS and "location" in fields:
            return _Location(fields["location"])
        if response.status != 200:
            raise ImageError(
                f"{name} answered with HTTP status {response.status}: check the address and who may read it"
            )
        if fields.get("content-length", "").isdecimal():
            limits.check_bytes(int(fields["content-length"]), name)
        return _read(response.iter_stream(), fields.get("content-encoding", "identity").strip().lower(), name, limits)


def _read(chunks: Iterable[bytes], encoding: str, name: str, limits: ImageLimits) -> bytes:
    body = bytearray()
    for chunk in chunks if encoding in ("", "identity") else _inflate(chunks, encoding, name, limits):
        body += chunk
        limits.check_bytes(len(body), name)
    return bytes(body)


def _inflate(chunks: Iterable[bytes], encoding: str, name: str, limits: ImageLimits) -> Iterator[bytes]:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ImageError(f"{name} was sent with the unknown content encoding {encoding[:40]!r}: download it first")
    step = 2**20
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    received = 0
    for chunk in chunks:
        received += len(chunk)
        limits.check_bytes(received, name)
        while chunk:
            yield inflate.decompress(chunk, step)
            chunk = inflate.unconsumed_tail
    # What the last step left inside comes out in steps as well, so that a small body cannot fill the memory.
    while piece := inflate.decompress(b"", step):
        yield piece
    if not inflate.eof:
        raise ImageError(f"{name} ended in the middle of its compressed body: try again, or download it first")


def _parse(url: str, name: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
        usable = bool(parsed.host)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        # The cause is not chained: its message may quote a password.
        usable = False
    if not usable:
        raise ImageError(f"{name} is not a valid web address: write it like https://host/path") from None
    return parsed


def _follow(here: httpx.URL, location: str, name: str) -> httpx.URL:
    try:
        there = here.join(location)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        there = httpx.URL()
    if there.scheme not in ("http", "https") or not there.host:
        raise ImageError(
            f"{name} redirects to {show_url(location)}, which is not an http or https address: "
            "use the image's final address"
        ) from None
    return there


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _basic(url: httpx.URL) -> str | None:
    if not url.userinfo:
        return None
    return "Basic " + base64.b64encode(f"{url.username}:{url.password}".encode()).decode("ascii")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


class _Deadline:
    """A moment on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then. Raises TimeoutError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to addresses that were checked, and ends every wait at one deadline."""

    def __init__(self, name: str, limits: ImageLimits, deadline: _Deadline) -> None:
        self._name, self._limits, self._deadline = name, limits, deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolve(host, port)
        for position, address in enumerate(addresses):
            share = self._deadline.left() / (len(addresses) - position)
            try:
                stream = self._sockets.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if position == len(addresses) - 1:
                    raise
            else:
                return _TimedStream(stream, self._deadline)
        raise httpcore.ConnectError(f"{host} has no address")

    def _resolve(self, host: str, port: int) -> list[str]:
        found = _look_up(host, port, self._deadline)
        if self._limits.allow_private_hosts:
            return found
        public = [address for address in found if is_public(address)]
        if found and not public:
            raise ImageError(
                f"{self._name} leads to {found[0]}, which is not a public address: download the image and pass its "
                "path, or set allow_private_hosts in ImageLimits where every URL can be trusted"
            )
        return public


def _look_up(host: str, port: int, deadline: _Deadline) -> list[str]:
    """The numeric addresses of `host`, each once. The system's resolver knows no timeout, hence the thread."""
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=resolve, name="cof-agent-look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


class _TimedStream(httpcore.NetworkStream):
    """A connection on which no wait outlasts the deadline, however little arrives at a time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
