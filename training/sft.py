"""Stage 1: supervised fine-tuning on conversations, with loss on what the policy says.

`python -m training.sft --config training/configs/NAME.yaml`, or `accelerate launch -m training.sft …` on several
devices. Launched again, it goes on from its last save.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from cof_agent.errors import CofError, ConfigError, MissingExtraError
from training.settings import SftSettings, load_settings

try:
    import torch
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback
    from trl import SFTConfig, SFTTrainer
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers
except ImportError as missing:
    raise MissingExtraError.for_extra("train", "training") from missing

from cof_agent.policies.qwen.processor import load_processor, local_directory
from training.checkpoints import TimelySaves, check_same_run, last_save, record_run
from training.model import (
    FINAL,
    adapters,
    gather_head_in_time,
    keep_learnt_in_full,
    open_model,
    take_weights,
    write_final,
)
from training.rows import Rows, TurnsOnly, load_rows

LOGS = "logs"
_log = logging.getLogger("training.sft")


def train(settings: SftSettings) -> Path:
    """Train, or go on training, and return the directory of the trained model.

    Raises ConfigError for a model, rows or an output directory that do not fit the settings.
    """
    output = Path(settings.output).expanduser()
    settings = settings.model_copy(update={"output": str(output)})
    check_same_run(output, settings)
    if (output / FINAL).is_dir():
        _log.info("already trained: %s", output / FINAL)
        return output / FINAL
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
    main = trainer.is_world_process_zero()
    with trainer.accelerator.main_process_first():  # the others find the directory as the first has left it
        if main:
            record_run(output, settings)
        start = last_save(output, clean=main)
    moving = keep_learnt_in_full(trainer.model)
    gather_head_in_time(trainer.model)
    if main:
        done = int(start.name.rpartition("-")[2]) if start else 0
        _log.info("%d rows (%d too long), %d weights learn, from step %d", len(rows.table), rows.too_long, moving, done)
        writer = SummaryWriter(str(output / LOGS), purge_step=done + 1 if start else None)
        trainer.add_callback(TensorBoardCallback(writer))
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)  # all processes have a part in it
    if main:
        write_final(weights, settings, rows.profile)
    trainer.accelerator.wait_for_everyone()
    return output / FINAL


class ResumingTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's, which finds the weights of a save again."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Saves have the upstream names of weights; transformers 5 would find none of its own, and only warn.

        Adapters and what is saved in shards have names of their own, and are found.
        """
        target = self.model if model is None else model
        if hasattr(target, "peft_config") or self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            take_weights(target, Path(resume_from_checkpoint))


def make_trainer(settings: SftSettings, processor: Any, rows: Rows) -> Any:
    """TRL's trainer as the settings have it."""
    model = open_model(settings)
    on_cpu = settings.device == "cpu" or not torch.accelerator.is_available()
    config = SFTConfig(
        output_dir=settings.output,
        assistant_only_loss=True,
        max_length=None,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,  # a share, below 1
        weight_decay=settings.weight_decay,
        num_train_epochs=settings.epochs,
        max_steps=settings.steps or -1,
        per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulate,
        gradient_checkpointing=settings.gradient_checkpointing,
        bf16=settings.dtype == "bfloat16",
        use_cpu=on_cpu,
        dataloader_num_workers=settings.workers,
        dataloader_pin_memory=not on_cpu,
        seed=settings.seed,
        save_strategy="steps",
        save_steps=settings.save_steps,
        save_total_limit=settings.keep,
        logging_steps=settings.log_steps,
        report_to="none",
    )
    trainer = ResumingTrainer(
        model,
        config,
        train_dataset=rows.table,
        processing_class=processor,
        peft_config=adapters(model, settings),
        callbacks=[TimelySaves(settings.save_minutes)],
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
    """The command. Returns the exit code: 1 for an error, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m training.sft", description="Supervised fine-tuning of a policy.")
    parser.add_argument("--config", required=True, help="a YAML file; see training/configs")
    parser.add_argument("--model", help="instead of the configuration's")
    parser.add_argument("--data", help="instead of the configuration's")
    parser.add_argument("--output", help="instead of the configuration's")
    parser.add_argument("--steps", type=int, help="optimizer steps instead of epochs, to try it out")
    given = parser.parse_args(arguments)
    changes = {name: value for name, value in vars(given).items() if name != "config" and value is not None}
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    _log.setLevel(logging.INFO)
    try:
        print(train(load_settings(given.config, **changes)))
    except CofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last save", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
