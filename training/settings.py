"""What a run is told: a YAML file, checked before anything heavy is loaded."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from cof_agent.errors import ConfigError, validated


class Value(BaseModel):
    """A part of the settings; a name that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LoraSettings(Value):
    """Adapters on every linear layer of the parts that are trained, but for projector and output layer."""

    rank: int = Field(default=32, ge=1)
    alpha: int = Field(default=64, ge=1)
    """Adapters are scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


class Settings(Value):
    """What every recipe is told. Paths count from the working directory."""

    model: str = Field(min_length=1)
    """Directory or hub id of the checkpoint to start from."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    data: str = Field(min_length=1)
    """What `cof-agent export` has written for the recipe."""
    output: str = Field(min_length=1)
    """Saves, logs and the trained model go there."""
    profile: str | dict[str, Any] | None = None
    """For `focus.json`: the path of a profile, or its values. Default: the one that the rows tell of."""

    lora: LoraSettings | None = None
    """Default: all weights of the parts that are trained."""
    train_vision_tower: bool = False
    train_projector: bool = True
    """The layers between vision tower and language model; trained whole, also with adapters."""

    learning_rate: float = Field(default=1e-5, gt=0)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps in which the rate rises."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    epochs: float = Field(default=3.0, gt=0)
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps, instead of epochs."""
    batch: int = Field(default=2, ge=1)
    """Rows (in reinforcement learning: rollouts) per device and pass."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Of frozen weights and of computing. Trained weights are kept in float32."""
    gradient_checkpointing: bool = True
    device: Literal["cpu"] | None = None
    """Default: the accelerators there are."""
    workers: int = Field(default=0, ge=0)
    """Processes that prepare images."""
    seed: int = Field(default=0, ge=0)

    save_steps: int = Field(default=100, ge=1)
    save_minutes: float = Field(default=10.0, gt=0, le=10.0)
    """At most this long between two saves."""
    keep: int = Field(default=2, ge=2)
    """Saves that are kept; two, so that there is one while the next is written."""
    log_steps: int = Field(default=1, ge=1)

    @field_validator("output")
    @classmethod
    def _at_home(cls, value: str) -> str:
        return str(Path(value).expanduser())


class SftSettings(Settings):
    """One run of supervised fine-tuning, on rows of `export --to trl`."""

    fit_images: bool = False
    """Scale images to the profile's overview sizes; else they must be as they were shown, and stay so."""
    rows_prompt: bool = False
    """Whether the system turn of the rows, which must be one and the same, becomes the profile's: for data from
    elsewhere, so that the policy is served with what it was trained with."""
    accumulate: int = Field(default=2, ge=1)
    """Passes per optimizer step."""
    max_tokens: int = Field(default=81_920, ge=1)
    """Longer rows, visual tokens counted, are left out: a cut would part images from their tokens."""


Told = TypeVar("Told", bound=BaseModel)


def load_settings(path: str | Path, kind: type[Told] = SftSettings, **changes: Any) -> Told:
    """The settings of a recipe in a YAML file, with `changes` over them.

    Raises ConfigError that names the file and the setting, for an unknown one with those there are.
    """
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or error}): name a file with --config") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} holds no settings: write lines like `model: Qwen/Qwen2.5-VL-7B-Instruct`")
    value |= changes
    _check_names(value, kind, str(path))
    for name, inner in value.items():
        if isinstance(inner, dict) and (settings := _settings_in(kind, name)):
            _check_names(inner, settings, f"{name} in {path}")
    return validated(kind, value, str(path))


def _settings_in(kind: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The settings that stand under `name`, if they are some of ours."""
    choices = get_args(kind.model_fields[name].annotation)
    return next((choice for choice in choices if isinstance(choice, type) and issubclass(choice, Value)), None)


def _check_names(value: dict[Any, Any], model: type[BaseModel], where: str) -> None:
    known = list(model.model_fields)
    unknown = [str(name) for name in value if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"{where} has no setting {', '.join(unknown)}: {meant}There are {', '.join(known)}")
