"""Stage 1: supervised fine-tuning on conversations, with loss on what the policy says.

`python -m training.sft --config training/configs/NAME.yaml`, or `accelerate launch -m training.sft …` on several
devices. Launched again, it goes on from its last save.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cof_agent.errors import ConfigError, MissingExtraError
from training.command import run_command
from training.settings import SftSettings

try:
    from trl import SFTConfig, SFTTrainer
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    from training.run import Resuming, carry_out, trained, trainer_arguments
except ImportError as missing:
    raise MissingExtraError.for_extra("train", "training") from missing

from cof_agent.policies.qwen.processor import load_processor, local_directory
from training.model import adapters, open_model
from training.rows import Rows, TurnsOnly, load_rows


def train(settings: SftSettings) -> Path:
    """Train, or go on training, and return the directory of the trained model.

    Raises ConfigError for a model, rows or an output directory that do not fit the settings.
    """
    if done := trained(settings):
        return done
    base = local_directory(settings.model, revision=settings.revision)
    processor: Any = load_processor(base)
    images = processor.image_processor
    rows = load_rows(settings, processor, base, _template(processor, settings), images.patch_size * images.merge_size)
    if settings.fit_images:
        sizes = rows.profile.overview
        images.size = {"shortest_edge": sizes.min_pixels, "longest_edge": sizes.max_pixels}
    else:
        images.do_resize = False
    trainer = make_trainer(settings, processor, rows)
    return carry_out(trainer, settings, rows.profile, f"{len(rows.table)} rows ({rows.too_long} too long)")


class ResumingTrainer(Resuming, SFTTrainer):  # type: ignore[misc]
    """TRL's, for runs that go on."""


def make_trainer(settings: SftSettings, processor: Any, rows: Rows) -> Any:
    """TRL's trainer as the settings have it."""
    model = open_model(settings)
    config = SFTConfig(
        **trainer_arguments(settings),
        assistant_only_loss=True,
        max_length=None,
        num_train_epochs=settings.epochs,
        max_steps=settings.steps or -1,
        gradient_accumulation_steps=settings.accumulate,
    )
    trainer = ResumingTrainer(
        model,
        config,
        train_dataset=rows.table,
        processing_class=processor,
        peft_config=adapters(model, settings),
    )
    trainer.data_collator = TurnsOnly(trainer.data_collator, processor.tokenizer.convert_tokens_to_ids("<|im_end|>"))
    return trainer


def _template(processor: Any, settings: SftSettings) -> str | None:
    """A chat template that marks what the assistant says: None for the checkpoint's own."""
    if has_generation_markers(processor.chat_template):
        return None
    try:
        return str(get_training_chat_template(processor))
    except ValueError as error:
        raise ConfigError(
            f"the chat template of {settings.model} does not mark what the assistant says, and TRL has none in its "
            "place: put {% generation %} and {% endgeneration %} around it in chat_template.jinja"
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return run_command("sft", "Supervised fine-tuning of a policy.", SftSettings, train, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
