"""The address of an endpoint: a URL, and the credentials that were in it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from cof_agent.errors import ConfigError
from cof_agent.policies.redaction import HIDDEN, hide


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server."""

    url: str
    """Without the user and password."""
    authorization: str | None = field(default=None, repr=False)
    """The header's text, of the user and password; None where the address has none."""

    @property
    def is_vendors(self) -> bool:
        """Whether it is OpenAI's own."""
        host = urlsplit(self.url).hostname or ""
        return host == "openai.com" or host.endswith(".openai.com")

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read a `base_url`. Raises ConfigError, without the password, for anything else."""
        try:
            parts = urlsplit(text.strip())
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigError(
                f"base_url is an http:// or https:// URL such as http://127.0.0.1:8000/v1, not {_shown(text)!r}"
                + ("; a user's and password's own / ? # @ are written %2F %3F %23 %40" if "@" in text else "")
            )
        if "@" in parts.path + parts.query + parts.fragment:  # else the end of a password would pass for a path
            raise ConfigError(
                f"base_url has an @ after its host: {_shown(text)!r}; in a path it is written %40, and a user's and "
                "password's own / ? # @ are written %2F %3F %23 %40"
            )
        if parts.query or parts.fragment:
            raise ConfigError(
                f"base_url has more than a path: {_shown(text)} followed by a query; "
                "give keys as api_key, and headers as default_headers"
            )
        user, at, place = parts.netloc.rpartition("@")
        credentials = base64.b64encode(unquote(user).encode()).decode()
        return cls(urlunsplit((parts.scheme, place, parts.path, "", "")), f"Basic {credentials}" if at else None)


def _shown(address: str) -> str:
    """A URL that may be wrong in any way, without user, password and query."""
    before, at, place = address.rpartition("@")
    place = re.split("[?#]", place)[0]
    scheme, colon, _ = before.partition("://")
    return hide(f"{scheme}{colon}{HIDDEN}@{place}" if colon else f"{HIDDEN}@{place}") if at else hide(place)
