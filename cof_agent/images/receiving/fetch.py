"""One image over HTTP, from public addresses only, within a limit of bytes and of seconds.

Import this module only where a URL is fetched: it brings in httpx.
"""

from __future__ import annotations

import base64
import re
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from cof_agent.errors import ImageError
from cof_agent.images.codecs.decoding import reason
from cof_agent.images.display_name import show_url
from cof_agent.images.limits import ImageLimits
from cof_agent.images.receiving.connection import CheckedBackend, Deadline
from cof_agent.images.receiving.content_coding import decoded

_REDIRECTS = (301, 302, 303, 307, 308)

_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that a later try may not meet (RFC 9110, and RFC 6585 and 8470 for 429 and 425)."""

_MOST_TRIES = 5
_FIRST_PAUSE = 0.5
"""Seconds before the second try, where the server names none; twice as many before each further one."""


def fetch(url: str, limits: ImageLimits) -> bytes:
    """The body that an `http:` or `https:` URL answers with, decompressed.

    Proxies and passwords from the environment are not used. A name is resolved once a connection: the addresses found
    are checked, and the connection goes to one of those. Raises ImageError for every way in which this can fail.
    """
    deadline = Deadline(limits.http_seconds)
    start = here = _parse(url, show_url(url))
    redirects = tries = 0
    while redirects <= limits.max_redirects:
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
                f"{name} cannot be fetched ({reason(error)}): check the address and the connection"
            ) from error
        if isinstance(answer, bytes):
            return answer
        if isinstance(answer, _Busy):
            tries += 1
            _wait(answer, tries, name, limits, deadline)
        else:
            redirects += 1
            here = _follow(here, answer, name)
    raise ImageError(
        f"{show_url(url)} redirects more than {limits.max_redirects} times: use the image's final address, "
        "or raise max_redirects in ImageLimits"
    )


def _wait(busy: _Busy, tries: int, name: str, limits: ImageLimits, deadline: Deadline) -> None:
    """Wait before the next try. Raises ImageError when there were enough, or no time is left for another."""
    pause = busy.wait if busy.wait is not None else _FIRST_PAUSE * 2 ** (tries - 1)
    if tries < _MOST_TRIES and pause < deadline.remaining:
        time.sleep(pause)
        return
    asks = f" and asks to wait {pause:.0f} s" if busy.wait else ""
    raise ImageError(
        f"{name} answered with HTTP status {busy.status}{asks} ({tries} {'try' if tries == 1 else 'tries'} within "
        f"{limits.http_seconds:g} s): try again later, download it first, or raise http_seconds in ImageLimits"
    )


class _Location(str):
    """Where a redirect leads, as the server wrote it."""


@dataclass(frozen=True, slots=True)
class _Busy:
    """The server may answer better a little later."""

    status: int
    wait: float | None
    """Seconds to wait, where it says so."""


def _get(
    url: httpx.URL, authorization: str | None, name: str, limits: ImageLimits, deadline: Deadline
) -> bytes | _Location | _Busy:
    headers = [("Accept", "image/*, */*;q=0.5"), ("Accept-Encoding", "identity"), ("User-Agent", "cof-agent")]
    if authorization:
        headers.append(("Authorization", authorization))
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    context = httpx.create_ssl_context() if url.scheme == "https" else None
    backend = CheckedBackend(name, limits, deadline)
    with (
        httpcore.ConnectionPool(ssl_context=context, network_backend=backend) as pool,
        pool.stream("GET", target, headers=headers) as response,
    ):
        fields = httpx.Headers(response.headers)
        if response.status in _REDIRECTS and "location" in fields:
            return _Location(fields["location"])
        if response.status in _PASSING:
            return _Busy(response.status, _seconds_until(fields.get("retry-after", "")))
        if response.status != 200:
            raise ImageError(
                f"{name} answered with HTTP status {response.status}: check the address and who may read it"
            )
        if fields.get("content-length", "").isdecimal():
            limits.check_bytes(int(fields["content-length"]), name)
        body = _read(response.iter_stream(), name, limits)
    return decoded(body, fields.get("content-encoding", ""), name, limits)


def _seconds_until(field: str) -> float | None:
    """What a `Retry-After` asks for: seconds, or a moment. None where it cannot be read."""
    if re.fullmatch(r"\d{1,9}", field.strip()):
        return float(field)
    try:
        moment = parsedate_to_datetime(field)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _read(chunks: Iterable[bytes], name: str, limits: ImageLimits) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        limits.check_bytes(len(body), name)
    return bytes(body)


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
