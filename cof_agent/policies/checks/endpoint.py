"""Whether a policy behind an endpoint can be asked: package, key, server, and the model on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.util import find_spec

import httpx

from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.files import parse_json
from cof_agent.policies.address import Address
from cof_agent.policies.checks.check import Check
from cof_agent.policies.endpoint import load_endpoint
from cof_agent.policies.environment import ADDRESSES, KEY, EndpointEnvironment

_SERVER_SECONDS = 10.0
"""A server that does not answer within this is taken for one that is not there."""

_LONGEST_LIST = 16 * 1024 * 1024
"""In bytes; the list of a router with thousands of models has about one."""

_NO_LIST = {405, 429, 500, 501}
"""What servers that answer questions may say when they are asked for their models; `transformers serve` says 500."""

_NOT_MADE = {
    "huggingface": "langchain_huggingface",
    "ibm": "langchain_ibm",
    "nvidia": "langchain_nvidia_ai_endpoints",
}
"""Providers whose classes load weights or ask a server as soon as they are made, and where these classes are."""


def check_openai(model: str, base_url: str | None, environment: EndpointEnvironment) -> Iterator[Check]:
    """What `openai:MODEL` needs beside its package. Raises ConfigError for a `base_url` that is none."""
    address, key = Address.parse(base_url) if base_url is not None else None, environment.key
    if base_url is None and environment.base_url:
        try:
            address = Address.parse(environment.base_url)
        except ConfigError as error:
            yield Check.missing(f"address in the environment ({' or '.join(ADDRESSES)})", error)
            return
    if key and not (key.isascii() and key.isprintable()):
        yield Check.missing(f"key {KEY} that can be sent", "it has letters or line ends that no key has: set it again")
        key = None
    elif key:
        yield Check("ok", f"key {KEY}")
    elif address is None or address.is_vendors:
        yield Check.missing(f"key {KEY}", "set it, or name a server of your own with --base-url")
    if address is not None and (key or not address.is_vendors):
        yield _model_on(address, model, key)


def check_provider(provider: str, model: str, base_url: str | None, *, installed: bool) -> Iterator[Check]:
    """What any other `PROVIDER:MODEL` needs; `installed`: LangChain itself. Raises as `check_openai` does."""
    address = Address.parse(base_url) if base_url is not None else None
    if provider in _NOT_MADE and installed:
        package = _NOT_MADE[provider]
        if find_spec(package) is None:
            yield Check.missing(f"provider {provider}", f'pip install "{package.replace("_", "-")}"')
        else:
            yield Check.unknown(f"provider {provider}", "its package is installed; a question tells what else it needs")
    elif installed:
        try:
            load_endpoint(f"{provider}:{model}", base_url=base_url)
        except (ConfigError, MissingExtraError) as error:
            yield Check.missing(f"provider {provider}", str(error).removeprefix(f"{provider}: "))
        else:
            yield Check("ok", f"provider {provider}")
    if address is not None:
        try:
            _get(address.url, {})
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            yield _not_there(address, error)
        else:
            yield Check("ok", f"server {address.url}")


def _model_on(address: Address, model: str, key: str | None) -> Check:
    authorization = address.authorization or (f"Bearer {key}" if key else None)
    try:
        status, body = _get(
            f"{address.url.rstrip('/')}/models", {"Authorization": authorization} if authorization else {}
        )
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return _not_there(address, error)
    if status != 200:
        what = f"server {address.url} (it says {status} to /models)"
        if status in _NO_LIST:
            return Check.unknown(what, "its list of models cannot be read; it may answer questions all the same")
        if status in (401, 403):
            return Check.missing(
                what, "check the user and password in its address" if address.authorization else f"check {KEY}"
            )
        return Check.missing(
            what, "correct the address, which usually ends in /v1" if status == 404 else "see the server's log"
        )
    try:
        served = [str(item["id"]) for item in parse_json(body)["data"]]
    except (ValueError, KeyError, TypeError):
        return Check.missing(f"server {address.url} (its /models is not a list of models)", "correct the address")
    if model not in served and f"{model}:latest" not in served:  # Ollama's models have tags, and this is the default
        return Check.missing(f"model {model} on {address.url}", f"it serves {', '.join(served) or 'none'}")
    return Check("ok", f"server {address.url} with model {model}")


def _not_there(address: Address, error: Exception) -> Check:
    return Check.missing(f"server {address.url} ({type(error).__name__})", "start it, or correct the address")


def _get(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body."""
    ends = time.monotonic() + _SERVER_SECONDS
    body = bytearray()
    with httpx.stream("GET", url, headers=headers, timeout=_SERVER_SECONDS, follow_redirects=True) as reply:
        for part in reply.iter_bytes():
            body += part
            if time.monotonic() > ends or len(body) > _LONGEST_LIST:
                raise httpx.ReadTimeout("the reply does not end")
    return reply.status_code, bytes(body)
