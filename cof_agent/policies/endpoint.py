"""Policies behind an HTTP endpoint: OpenAI-compatible servers, and every provider that LangChain knows."""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

import httpx
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, SecretStr, ValidationError

from cof_agent.errors import ConfigError, MissingExtraError
from cof_agent.policies.address import Address
from cof_agent.policies.environment import KEY, UNSET, EndpointEnvironment
from cof_agent.policies.kinds import meant
from cof_agent.policies.redaction import hide

Chat = TypeVar("Chat", bound=BaseChatModel)

_NO_KEY = "cof-agent-has-no-key"
"""Sent where no key is set: servers of one's own ask for none, but their clients insist on one. What is sent as a key
is hidden in what servers say, so it is no word of any sentence."""

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

_CHUNK_TIMEOUT = "stream_chunk_timeout"
"""A limit that newer classes of LangChain's put around each piece of a stream. It is a task a piece, can lose the
cancelling of a call (Python 3.11), and `timeout` does the same."""

_LIMITS = ("max_tokens", "max_completion_tokens")
"""The old and the new name of one option."""

_OURS = {"model", "model_name", "max_retries", "openai_api_key", "openai_api_base", "request_timeout"}
"""Names that the classes take and that are not options here."""


def load_endpoint(
    spec: str,
    environment: EndpointEnvironment = UNSET,
    /,
    *,
    base_url: str | None = None,
    api_key: str | SecretStr | None = None,
    timeout: float = 120.0,
    **options: Any,
) -> BaseChatModel:
    """The chat model that `spec` names, as `provider:model`; its own retries are off, for the loop has its own.

    `openai:MODEL` talks to OpenAI or, with `base_url`, to any server that speaks its chat completions (vLLM, SGLang,
    Ollama, llama.cpp, `transformers serve`). Other providers are those of LangChain's `init_chat_model`.

    `api_key` and `base_url` for `openai:` are those of `environment` unless given: nothing here reads the environment.
    A server at a `base_url` of one's own needs no key. Other providers' classes take a key that is not given from
    their own environment variables. A user and password in `base_url` (`openai:` only) are sent as its Authorization.

    `timeout`: seconds without a byte after which an attempt failed. `options` are the model class's own:
    `temperature`, `max_tokens`, `streaming=True`, `extra_body`, …

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
    if base_url is not None and not isinstance(base_url, str):
        raise ConfigError(f"base_url is a URL, not a {type(base_url).__name__}")
    key = _key(api_key, "api_key")
    if provider == "openai":
        return _openai(model, base_url, key, environment, float(timeout), options)
    return _other(provider, model, base_url, key, float(timeout), options)


def _key(given: object, name: str) -> SecretStr | None:
    """A key as it can be sent; None where there is none. `name`: where it was given. Never shows it."""
    if given is None:
        return None
    if not isinstance(given, str | SecretStr):
        raise ConfigError(f"{name} is a text, not a {type(given).__name__}")
    text = (given if isinstance(given, str) else given.get_secret_value()).strip()
    if not (text.isascii() and text.isprintable()):
        raise ConfigError(f"{name} has characters that no key has: paste it again, in plain ASCII and on one line")
    return SecretStr(text) if text else None


def _headers(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"default_headers is a mapping from names to texts, not a {type(given).__name__}")
    for name, value in given.items():
        if not (isinstance(name, str) and re.fullmatch(r"[!-9;-~]+", name)):
            raise ConfigError(f"default_headers has a name that is none of a header: {name!r:.80}")
        if not (isinstance(value, str) and value.isascii() and value.isprintable()):
            raise ConfigError(f"default_headers has no line of plain ASCII under {name!r}")
    return {name: value.strip() for name, value in given.items()}


def _limit(name: str, given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not given:
        raise ConfigError(f"{name} is a whole number of tokens and not 0, not {given!r:.80}; leave it out for no limit")
    return given


def _openai(
    model: str,
    base_url: str | None,
    key: SecretStr | None,
    environment: EndpointEnvironment,
    timeout: float,
    options: dict[str, Any],
) -> BaseChatModel:
    try:
        from cof_agent.policies.loop_clients import LoopClient
        from cof_agent.policies.openai_chat import OpenAIChat
    except ImportError as error:
        raise MissingExtraError.for_extra("openai", "a policy openai:MODEL") from error
    _check_names("openai", OpenAIChat, options)
    given = base_url if base_url is not None else environment.base_url
    address = Address.parse(given) if given else None
    own_server = address is not None and not address.is_vendors
    key = key or _key(environment.key, KEY)
    if not key:
        if not own_server:
            raise ConfigError(f"there is no API key for OpenAI: set {KEY}, give api_key, or a base_url of your own")
        key = SecretStr(_NO_KEY)
    settings: dict[str, Any] = {"stream_usage": True, "http_async_client": LoopClient(timeout=timeout), **options}
    if _CHUNK_TIMEOUT in _names(OpenAIChat):
        settings.setdefault(_CHUNK_TIMEOUT, None)
    given_headers = settings.pop("default_headers", None)
    headers = {} if given_headers is None else _headers(given_headers)
    limits = [_limit(name, settings[name]) for name in _LIMITS if settings.get(name) is not None]
    if address:
        settings["base_url"] = address.url
        headers |= {"Authorization": address.authorization} if address.authorization else {}
    if own_server:
        settings.setdefault("use_responses_api", False)
        extra = settings.get("extra_body")
        if limits and (extra is None or isinstance(extra, Mapping)):
            # The class would send the limit's new name, max_completion_tokens, which not all servers know.
            settings = {name: value for name, value in settings.items() if name not in _LIMITS}
            settings["extra_body"] = {"max_tokens": limits[0], **(extra or {})}
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
        address = Address.parse(base_url)
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
    ours = {"max_retries": 0, "timeout": timeout, "stream_usage": True, _CHUNK_TIMEOUT: None}
    chat: BaseChatModel | None = None
    with contextlib.suppress(ConfigError):  # some classes refuse names that they do not know
        chat = make(**ours)
    chat = make() if chat is None else chat
    _check_names(provider, type(chat), settings)
    known = _names(type(chat))
    for name, described in type(chat).model_fields.items():
        held = getattr(chat, name)  # a key that the class took from its environment variable
        if isinstance(held, SecretStr) and "api_key" in name and key is None:
            settings[described.alias or name] = _key(held, f"the environment variable with the key for {provider}:")
    fitting = {name: value for name, value in ours.items() if name in known and name not in settings}
    if "timeout" not in known and "client_kwargs" in known:  # Ollama's class
        # An open connection dies with its asyncio loop and the client would hand it out in the next one; it never
        # closes those of its threads either.
        unkept = {"timeout": timeout, "limits": httpx.Limits(max_keepalive_connections=0)}
        settings["client_kwargs"] = {**unkept, **(settings.get("client_kwargs") or {})}
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
    except ValidationError as error:
        words = _fault(error)
    except Exception as error:  # the constructors of other packages raise anything, and show what they were given
        words = " ".join(f"{type(error).__name__}: {error}".split())
    # Raised out here, or the traceback would show the first error, and with it perhaps the key.
    if missing:
        package = re.search(r"pip install ['\"]?([\w.\[\]-]+)", words)
        name = package[1] if package else f"langchain-{provider.replace('_', '-')}"
        raise MissingExtraError(f'{provider}: needs a package that is not installed: pip install "{name}"')
    if "Unsupported" in words and "provider" in words:
        raise ConfigError(
            f"LangChain knows no provider {provider!r}{meant(provider)}: there are openai (also for vLLM, SGLang and "
            "llama.cpp, with base_url), ollama, anthropic, google_genai, mistralai, groq, deepseek, openrouter and "
            "others"
        )
    raise ConfigError(f"{provider}: cannot be set up: {hide(words, secrets)}")


def _fault(error: ValidationError) -> str:
    """The first fault that pydantic found, on one line. What the whole was given may hold keys and is not shown."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    said = " ".join(first["msg"].removeprefix("Value error, ").split())
    return f"{where}: {said} (given: {first['input']!r:.80})" if where else said


def _check_names(provider: str, model: type[BaseModel], given: Mapping[str, Any]) -> None:
    """Raise ConfigError for an option that the class does not have: many hand such on to the server, or drop them."""
    known = _names(model)
    for name in given:
        if name not in known:
            near = get_close_matches(name, sorted(known - _OURS))
            raise ConfigError(
                f"{provider}: takes no option {name!r}"
                + (f"; did you mean {' or '.join(near)}?" if near else "")
                + ("; what only the server knows goes into extra_body" if "extra_body" in known else "")
            )


def _names(model: type[BaseModel]) -> set[str]:
    fields = model.model_fields
    return {*fields, *(field.alias for field in fields.values() if field.alias)}
