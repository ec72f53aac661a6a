"""What can go wrong, as a few flat kinds.

Every error is a `CofError` and also the standard type it refines, takes one message, and survives pickling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")


class CofError(Exception):
    """Base of every error this package raises on purpose."""


class ImageError(CofError, ValueError):
    """An image source cannot be read, is refused by a limit, or is missing from its store."""


class StoreError(ImageError):
    """A store cannot keep an image, or has lost it. Whoever set it up can mend it, and resume the run if it is kept."""


class ToolError(CofError, ValueError):
    """A tool call that the policy can mend. The loop shows the message to the policy as an observation."""


class PolicyError(CofError, RuntimeError):
    """A policy cannot be loaded, or failed while it was called."""


class ConfigError(CofError, ValueError):
    """A setting, profile or argument is not valid."""


class QuestionError(ConfigError):
    """There is no image or no question, or too many images. Whoever asked can mend it; other kinds, whoever set up."""


class WaitingError(CofError, RuntimeError):
    """A run waits for a person's decision, and whoever asked expected its end."""


class TrajectoryError(CofError, ValueError):
    """A trajectory record cannot be read or written."""


class LockedError(CofError, RuntimeError):
    """Another process, or another thread of this one, works on the same thing. The message names it."""


class MissingExtraError(CofError, ImportError):
    """An optional dependency is not installed. The message holds the exact command that installs it."""

    @classmethod
    def for_extra(cls, extra: str, what: str) -> MissingExtraError:
        """Say that `what` needs the optional dependencies named `extra`."""
        return cls(f'{what} needs the extra "{extra}": pip install "cof-agent[{extra}]"')


class MissingFormatError(ImageError, MissingExtraError):
    """An optional dependency reads such an image. The message holds the command that installs it."""


def validated(model: type[Model], value: object, where: str) -> Model:
    """`value` as a `model`. Raises ConfigError that names `where` it stood and the field that is wrong."""
    from pydantic import ValidationError

    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole"
        raise ConfigError(f"{where} is not valid at {field}: {first['msg']} (given: {first['input']!r:.80})") from error
