"""Policies behind an HTTP endpoint: OpenAI-compatible servers, and every provider that LangChain knows."""

from __future__ import annotations

import base64
import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, SecretStr

from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.redaction import hide

Chat = TypeVar("Chat", bound=BaseChatModel)

KEY = "OPENAI_API_KEY"
"""The environment variable with the key for `openai:`."""

_NO_KEY = "none"
"""Sent where no key is set: servers of one's own ask for none, but their clients insist on one."""

_ADDRESS_NAMES = {
    "azure_openai": "azure_endpoint",
    "bedrock": "endpoint_url",
    "bedrock_converse": "endpoint_url",
    "huggingface": "endpoint_url",
    "ibm": "url",
    "litellm": "api_base",
    "xai": "xai_api_base",
}
"""What the providers' classes call `base_url`, where it is anything else."""

_OURS = {"model", "model_name", "max_retries", "openai_api_key", "openai_api_base", "request_timeout"}
"""Names that the classes take and that are not options here."""


def load_endpoint(
    spec: str,
    *,
    base_url: str | None = None,
    api_key: str | SecretStr | None = None,
    timeout: float = 120.0,
    **options: Any,
) -> BaseChatModel:
    """The chat model that `spec` names, as `provider:model`; its own retries are off, for the loop has its own.

    `openai:MODEL` talks to OpenAI or, with `base_url`, to any server that speaks its chat completions (vLLM, SGLang,
    Ollama, llama.cpp, `transformers serve`). Other providers are those of LangChain's `init_chat_model`.

    `api_key` is taken from the provider's environment variable (OPENAI_API_KEY for `openai:`) unless given; a server
    at a `base_url` of one's own needs none. A user and password in `base_url` (`openai:` only) are sent as its
    Authorization. `timeout`: seconds without a byte after which an attempt failed. `options` are the model class's
    own: `temperature`, `max_tokens`, `streaming=True`, `extra_body`, …

    Raises ConfigError for an unknown provider or option, a missing key or a bad `base_url`, and MissingExtraError,
    with the command to run, for a package that is missing.
    """
    provider, _, model = spec.partition(":")
    provider = provider.replace("-", "_").lower()
    if not provider or not model:
        raise ConfigError(f"{spec!r} does not name an endpoint: write provider:model, such as openai:MODEL")
    if not (isinstance(timeout, int | float) and 0 < timeout < math.inf):
        raise ConfigError(f"timeout is a number of seconds above 0, not {timeout!r}")
    if taken := sorted(_OURS & options.keys()):
        raise ConfigError(
            f"{taken[0]} is no option of an endpoint: the model is in the spec, retries are set by "
            "FocusConfig.max_retries, and there are base_url, api_key and timeout"
        )
    key = SecretStr(api_key) if isinstance(api_key, str) else api_key
    if provider == "openai":
        return _openai(model, base_url, key, float(timeout), options)
    return _other(provider, model, base_url, key, float(timeout), options)


@dataclass(frozen=True, slots=True)
class _Address:
    url: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def is_vendors(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        return host == "openai.com" or host.endswith(".openai.com")

    @classmethod
    def parse(cls, text: str) -> _Address:
        try:
            parts = urlsplit(text.strip())
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host:
            raise ConfigError(
                f"base_url is an http:// or https:// URL such as http://127.0.0.1:8000/v1, not {hide(text)!r}"
            )
        if parts.query or parts.fragment:
            raise ConfigError(
                f"base_url has more than a path: {parts.scheme}://{host}{parts.path} followed by a query; "
                "give keys as api_key, and headers as default_headers"
            )
        user, at, place = parts.netloc.rpartition("@")
        credentials = base64.b64encode(unquote(user).encode()).decode()
        return cls(urlunsplit((parts.scheme, place, parts.path, "", "")), f"Basic {credentials}" if at else None)


def _openai(
    model: str, base_url: str | None, key: SecretStr | None, timeout: float, options: dict[str, Any]
) -> BaseChatModel:
    try:
        from cof_agent.policies.loop_clients import LoopClient
        from cof_agent.policies.openai_chat import OpenAIChat
    except ImportError as error:
        raise MissingExtraError.for_extra("openai", "a policy openai:MODEL") from error
    _check_names("openai", OpenAIChat, options)
    given = base_url or from_env(["OPENAI_API_BASE", "OPENAI_BASE_URL"], default=None)()
    address = _Address.parse(given) if given else None
    own_server = address is not None and not address.is_vendors
    key = key or secret_from_env(KEY, default=None)()
    if not (key and key.get_secret_value()):
        if not own_server:
            raise ConfigError(f"there is no API key for OpenAI: set {KEY}, give api_key, or a base_url of your own")
        key = SecretStr(_NO_KEY)
    settings: dict[str, Any] = {"stream_usage": True, "http_async_client": LoopClient(timeout=timeout), **options}
    headers = dict(settings.pop("default_headers", None) or {})
    if address:
        settings["base_url"] = address.url
        headers |= {"Authorization": address.authorization} if address.authorization else {}
    if own_server:
        settings.setdefault("use_responses_api", False)
        limit = settings.pop("max_tokens", None) or settings.pop("max_completion_tokens", None)
        if limit is not None:  # the class would send its new name, max_completion_tokens, which not all servers know
            settings["extra_body"] = {"max_tokens": limit, **(settings.get("extra_body") or {})}
    chat = _made(lambda: OpenAIChat(model=model, api_key=key, timeout=timeout, max_retries=0, **settings), {key})
    if headers:  # not as the model's field, which its repr would show
        chat.root_client = chat.root_client.with_options(default_headers=headers)
        chat.root_async_client = chat.root_async_client.with_options(default_headers=headers)
        chat.client = chat.root_client.chat.completions
        chat.async_client = chat.root_async_client.chat.completions
    return chat


def _other(
    provider: str,
    model: str,
    base_url: str | None,
    key: SecretStr | None,
    timeout: float,
    options: dict[str, Any],
) -> BaseChatModel:
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise MissingExtraError.for_extra("providers", f"a policy {provider}:MODEL") from error
    settings = dict(options)
    if base_url is not None:
        address = _Address.parse(base_url)
        if address.authorization:
            raise ConfigError(f"base_url has a user and password, which {provider}: cannot take: give api_key instead")
        settings[_ADDRESS_NAMES.get(provider, "base_url")] = address.url
    if key is not None:
        settings["api_key"] = key

    def make(**more: Any) -> BaseChatModel:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about names that a class does not know; they are checked below
            chat: BaseChatModel = _made(
                lambda: init_chat_model(model, model_provider=provider, **settings, **more), {key}, provider
            )
            return chat

    # Which class it is, and so which names it takes, is known only once there is a model.
    ours = {"max_retries": 0, "timeout": timeout, "stream_usage": True}
    try:
        chat = make(**ours)
    except ConfigError:  # some classes refuse names that they do not know
        chat = make()
    _check_names(provider, type(chat), settings)
    known = _names(type(chat))
    fitting = {name: value for name, value in ours.items() if name in known and name not in settings}
    if "timeout" not in known and "client_kwargs" in known:  # Ollama's class
        settings["client_kwargs"] = {"timeout": timeout, **settings.get("client_kwargs", {})}
        # An open connection dies with its asyncio loop and the client would hand it out in the next one.
        unkept = {"limits": httpx.Limits(max_keepalive_connections=0)}
        settings["async_client_kwargs"] = {**unkept, **settings.get("async_client_kwargs", {})}
    if any(base.__module__.startswith("langchain_openai.") for base in type(chat).__mro__):
        from cof_agent.policies.loop_clients import LoopClient

        settings.setdefault("http_async_client", LoopClient(timeout=timeout))
    return make(**fitting)


def _made(make: Callable[[], Chat], keys: Collection[SecretStr | None], provider: str = "openai") -> Chat:
    secrets = [key.get_secret_value() for key in keys if key]
    missing = False
    try:
        return make()
    except ImportError as error:
        missing, words = True, str(error)
    except Exception as error:  # the constructors of other packages raise anything, and show what they were given
        words = f"{type(error).__name__}: {error}"
    # Raised out here, or the traceback would show the first error, and with it perhaps the key.
    if missing:
        package = re.search(r"pip install ['\"]?([\w.\[\]-]+)", words)
        name = package[1] if package else f"langchain-{provider.replace('_', '-')}"
        raise MissingExtraError(f'{provider}: needs a package that is not installed: pip install "{name}"')
    if "Unsupported" in words and "provider" in words:
        raise ConfigError(
            f"LangChain knows no provider {provider!r}: there are openai (also for vLLM, SGLang and llama.cpp, with "
            "base_url), ollama, anthropic, google_genai, mistralai, groq, deepseek, openrouter and others"
        )
    raise ConfigError(f"{provider}: cannot be set up: {hide(words, secrets)}")


def _check_names(provider: str, model: type[BaseModel], given: Mapping[str, Any]) -> None:
    """Raise ConfigError for an option that the class does not have: many hand such on to the server, or drop them."""
    known = _names(model)
    for name in given:
        if name not in known:
            near = sorted(other for other in known - _OURS if other[0] == name[0])
            raise ConfigError(
                f"{provider}: ({model.__name__}) takes no option {name!r}"
                + (f"; it has {', '.join(near)}" if near else "")
                + "; what only the server knows goes into extra_body, where the class has it"
            )


def _names(model: type[BaseModel]) -> set[str]:
    fields = model.model_fields
    return {*fields, *(field.alias for field in fields.values() if field.alias)}
