"""How a checkpoint on this machine is run, and what a single call may say about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from cof_agent.errors import ConfigError
from cof_agent.policies.qwen.checkpoint import Defaults
from cof_agent.policies.qwen.reply import Limits
from cof_agent.policies.qwen.sampling import Sampling

PER_CALL = ("temperature", "top_p", "top_k", "repetition_penalty", "seed", "max_new_tokens")
"""Settings that a single call, or `bind`, may give too."""


class Settings(BaseModel):
    """What can be set of a model."""

    max_new_tokens: int = Field(default=2048, ge=1)
    """Longest reply."""
    temperature: float | None = None
    """0: always the likeliest token. This and the next three are the checkpoint's own where they are None."""
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    """For sampling. The same seed and the same prompt make the same reply, so give each of several tries its own."""
    stop_after: tuple[str, ...] = ()
    """Texts after which a turn ends: they are its last words, and the end of turn is then added to `token_ids`."""
    record_tokens: bool = False
    """Whether `response_metadata` gets `token_ids`, `logprobs` (under the model's own distribution, natural logarithm)
    and `forced_tokens`: how many of the last ids the model did not choose; their log-probability is 0."""
    prefix_conversations: int = Field(default=8, ge=0)
    """Conversations whose state is kept, so that their next turn runs only what is new; 0: none."""
    prefix_bytes: int = Field(default=2 * 1024**3, ge=0)
    """Memory that these states may take together."""
    max_batch: int = Field(default=8, ge=1)
    """How many calls are run together at most; nothing waits for others to join it.

    A call that finds the model free, or that waits for it alone, is run alone, from the kept state of its conversation.
    Of several that wait when the model becomes free, up to this many are run together. Their replies are then written
    in little more time than one takes, but they start from no kept state, so every prompt is run from its beginning and
    the batch needs memory for all of them (one that has too little is run again one by one); its longest reply keeps
    the model from others; and in half precision the sums of a batch are rounded otherwise, which can change a reply.
    1: never together. This suits replies that must be the same again and, mostly on a CPU, up to
    `prefix_conversations` conversations of several large images, where reading takes longer than writing.
    """
    max_wait: float = Field(default=3600.0, gt=0)
    """Seconds that a call may take where no deadline is set."""

    def sampling(self, defaults: Defaults, given: Mapping[str, Any]) -> Sampling:
        """How a call is sampled that is `given` settings of its own. Raises ConfigError for one out of range."""

        def value(name: str) -> Any:
            own = given.get(name)
            own = getattr(self, name) if own is None else own
            return getattr(defaults, name, None) if own is None else own

        return Sampling(*map(value, ("temperature", "top_p", "top_k", "repetition_penalty", "seed")))

    def limits(self, ends: tuple[int, ...], stop: Any, given: Mapping[str, Any]) -> Limits:
        """When a reply ends to a call that is `given` settings of its own. Raises ConfigError for one out of range."""
        longest = given.get("max_new_tokens")
        return Limits(
            self.max_new_tokens if longest is None else longest,
            _words("stop", stop or ()),
            _words("stop_after", given.get("stop_after", self.stop_after)),
            ends,
        )


SETTINGS = tuple(Settings.model_fields)


def check_settings(options: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError, naming the setting, for what no model can be made with; `where` is the checkpoint."""
    try:
        Settings(**options).sampling(Defaults(), {})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"the options of {where} are not valid at {field}: {first['msg']}, not {first['input']!r}"
        ) from error


def _words(name: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or not all(isinstance(word, str) for word in given):
        raise ConfigError(f"{name} must be a list of texts, not {given!r}")
    return tuple(word for word in given if word)
