"""Keys and passwords taken out of texts that people, logs and trajectories get to see."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote

from pydantic import SecretStr

HIDDEN = "[hidden]"
"""Stands where a secret was."""

_WHOLE_WORD = 8
"""Shorter secrets are hidden only where they stand alone: some people's key for a local server is `x`."""

_PATTERNS = (
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=*-]{8,}", re.I), rf"\1 {HIDDEN}"),
    # Up to the last @ of a word, for passwords have an unescaped / or @ in them; the bound keeps long texts fast.
    (re.compile(r"://\S{1,500}@"), f"://{HIDDEN}@"),
    (re.compile(r"\b((?:api[-_]?key|access[-_]?token|token)=)[^&\s\"']+", re.I), rf"\1{HIDDEN}"),
    # The form of the vendors' keys; servers repeat them, whole or with asterisks, in what they say of a wrong one.
    (re.compile(r"\bsk-[\w*.-]{3,}"), HIDDEN),
    (re.compile(r"\b(?:gsk|hf|xai|nvapi|pplx|tgp|fw|lsv2|r8|pk|rk|sk)[-_][\w*-]{16,}"), HIDDEN),
    (re.compile(r"\bAIza[\w*-]{16,}"), HIDDEN),
)

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.I)


def hide(text: str, secrets: Collection[str] = ()) -> str:
    """`text` without `secrets` and without whatever else has the form of a key."""
    forms = {form for secret in secrets for form in _forms(secret)}
    for secret in sorted(forms, key=len, reverse=True):
        if len(secret) >= _WHOLE_WORD:
            text = text.replace(secret, HIDDEN)
        elif len(secret) > 2:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", lambda _: HIDDEN, text)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def _forms(secret: str) -> Iterator[str]:
    """The forms in which errors show a secret: as it is, in a URL, as Python shows its text and its bytes."""
    yield from (secret, quote(secret, safe=""), repr(secret)[1:-1], repr(secret.encode(errors="replace"))[2:-1])


def secrets_of(model: object) -> frozenset[str]:
    """The keys and passwords that a LangChain model holds: its secret fields and its clients' headers."""
    return frozenset(secret for value in getattr(model, "__dict__", {}).values() for secret in _secrets_in(value))


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    headers = value if isinstance(value, Mapping) else getattr(value, "default_headers", None)
    if isinstance(headers, Mapping):
        for name, content in headers.items():
            if isinstance(name, str) and isinstance(content, str) and _SECRET_HEADER.search(name):
                yield content
                yield from _credentials(content)


def _credentials(header: str) -> Iterator[str]:
    """The credentials of an Authorization header: the token; for Basic also the password."""
    scheme, _, token = header.partition(" ")
    if token:
        yield token
    if scheme.lower() == "basic":
        try:
            _, _, password = base64.b64decode(token).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return
        yield password
