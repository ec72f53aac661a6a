"""The kinds of policy: one row each. A new kind is a row here and its loader in `loading`."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from cof_agent.errors import ConfigError


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """A kind of policy."""

    name: str
    """What its spec begins with; `PROVIDER` stands for the name of any provider that has no row of its own."""
    rest: str | None
    """What follows the name and a colon; None where the name is the whole spec."""
    extra: str | None
    """The extra that it needs."""
    what: str
    """What it does."""
    options: bool = True
    """Whether it takes options."""
    server: bool = False
    """Whether it is behind a server, and so has a base URL."""
    replays: bool = False
    """Whether it only says what was written for it: people are told of it last."""

    @property
    def form(self) -> str:
        """Its spec, as people are told of it."""
        return self.name if self.rest is None else f"{self.name}:{self.rest}"


OBSERVER = "observer"
"""The ideal observer of drawn scenes: commands that ask about those take it as a policy; nothing else does."""

PROVIDER = PolicyKind(
    "PROVIDER", "MODEL", "providers", "talks to any provider that LangChain's init_chat_model knows", server=True
)

TABLE = (
    PolicyKind("reader", None, "reader", "answers questions about text visible in photos, offline"),
    PolicyKind(
        "tiny", None, "local", "runs the checkpoint of 9 MB in the package, trained on drawn scenes alone, offline"
    ),
    PolicyKind("script", "FILE", None, "replays given turns, for tests and examples", options=False, replays=True),
    PolicyKind("hf", "PATH_OR_ID", "local", "runs a Qwen-VL checkpoint on this machine"),
    PolicyKind(
        "openai",
        "MODEL",
        "openai",
        "talks to OpenAI or, with --base-url, to vLLM, SGLang, Ollama, llama.cpp, …",
        server=True,
    ),
    PROVIDER,
)

TOLD = tuple(sorted(TABLE, key=lambda kind: kind.replays))
"""In the order in which `doctor` and the help texts tell of them."""

KINDS = f"{', '.join(kind.form for kind in TABLE if kind != PROVIDER)}, or any other {PROVIDER.form}"
"""The forms of a spec."""


def kind_of(spec: str) -> tuple[PolicyKind, str]:
    """The kind of a spec, and what follows the kind's name in it; of a PROVIDER the provider's name too.

    Names of providers may have capitals and hyphens. Raises ConfigError for a spec of no known form.
    """
    name, colon, rest = spec.partition(":")
    for kind in TABLE:
        named = kind.name == (_plain(name) if kind.server else name)
        if named and (rest if kind.rest else not colon):
            return kind, rest
    if name and rest:
        return PROVIDER, f"{_plain(name)}:{rest}"
    if spec == OBSERVER:
        raise ConfigError(
            "observer answers questions about drawn scenes only, since it is told where to look: `eval scenes` and "
            f"`collect scenes:train` take it. Here choose one of {KINDS}"
        )
    raise ConfigError(f"no policy is named {spec!r}{meant(name)}: choose one of {KINDS}")


def meant(name: str) -> str:
    """` (did you mean X?)` where a kind's name is much like `name`; else nothing."""
    named = [kind.name for kind in TABLE if kind != PROVIDER]
    like = get_close_matches(name.lower(), named, n=1)
    return f" (did you mean {next(kind.form for kind in TABLE if kind.name == like[0])}?)" if like else ""


def listed(*more: str) -> str:
    """The forms of all kinds and `more` that can stand in their place, as a list in words."""
    *forms, last = [*(kind.form for kind in TOLD), *more]
    return f"{', '.join(forms)}, or {last}"


def _plain(provider: str) -> str:
    return provider.replace("-", "_").lower()
