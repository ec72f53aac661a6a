"""Resolutions and budgets as people write them. Light: `cof-agent --help` imports it."""

from __future__ import annotations

from cof_agent.errors import ConfigError

DEFAULT_RESOLUTIONS: tuple[int | None, ...] = (224, 336, 448, 672, 1024, 1536, 2240, 3840)
"""Long sides in pixels: eight steps from 224 to 4K."""

NATIVE = "native"
"""How people write a resolution or budget that is left as it is."""


def told(value: int | None) -> str:
    """A resolution or budget as people write it."""
    return NATIVE if value is None else str(value)


def numbers(text: str, name: str) -> tuple[int | None, ...]:
    """`224,448,native` as numbers, None for native. Raises ConfigError, naming the option, for anything else."""
    try:
        return tuple(None if part.strip() == NATIVE else int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{name} takes whole numbers and {NATIVE}, such as 224,448,{NATIVE}, not {text!r}") from None
