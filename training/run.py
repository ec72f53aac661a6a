"""A run of a recipe, from its settings to the trained model; what all recipes have in common."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from torch.utils.tensorboard import SummaryWriter
from transformers.integrations.integration_utils import TensorBoardCallback

from cof_agent.dialects.profile import Profile
from training.checkpoints import TimelySaves, check_same_run, last_save, record_run
from training.model import FINAL, gather_head_in_time, keep_learnt_in_full, take_weights, write_final
from training.settings import Settings

LOGS = "logs"
_log = logging.getLogger("training")


def trained(settings: Settings) -> Path | None:
    """The directory of the trained model, if these settings have made it already.

    Raises ConfigError when the output directory holds something else.
    """
    output = Path(settings.output)
    check_same_run(output, settings)
    if not (output / FINAL).is_dir():
        return None
    _log.info("already trained: %s", output / FINAL)
    return output / FINAL


def trainer_arguments(settings: Settings) -> dict[str, Any]:
    """What all recipes tell their trainers."""
    on_cpu = settings.device == "cpu" or not torch.accelerator.is_available()
    return {
        "output_dir": settings.output,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup,  # a share, below 1
        "weight_decay": settings.weight_decay,
        "per_device_train_batch_size": settings.batch,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "bf16": settings.dtype == "bfloat16",
        "use_cpu": on_cpu,
        "dataloader_num_workers": settings.workers,
        "dataloader_pin_memory": not on_cpu,
        "seed": settings.seed,
        "save_strategy": "steps",
        "save_steps": settings.save_steps,
        "save_total_limit": settings.keep,
        "logging_steps": settings.log_steps,
        "report_to": "none",
    }


def carry_out(trainer: Any, settings: Settings, profile: Profile, rows: str, *, every: int = 1) -> Path:
    """Train, or go on from the last save, and write the trained model. `rows` tells of what is learnt from.

    Saves are made after multiples of `every` steps only. Returns the directory of the trained model.
    """
    output = Path(settings.output)
    main = trainer.is_world_process_zero()
    with trainer.accelerator.main_process_first():  # the others find the directory as the first has left it
        if main:
            record_run(output, settings)
        start = last_save(output, clean=main)
    (start,) = broadcast_object_list([start])  # the first process decides where all go on
    trainer.add_callback(TimelySaves(settings.save_minutes, every=every))
    moving = keep_learnt_in_full(trainer.model)
    gather_head_in_time(trainer.model)
    if main:
        done = int(start.name.rpartition("-")[2]) if start else 0
        devices = trainer.accelerator.num_processes
        _log.info("%s, %d weights learn, processes: %d, from step %d", rows, moving, devices, done)
        writer = SummaryWriter(str(output / LOGS), purge_step=done + 1 if start else None)
        trainer.add_callback(TensorBoardCallback(writer))
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)  # all processes have a part in it
    if main:
        write_final(weights, settings, profile)
    trainer.accelerator.wait_for_everyone()
    return output / FINAL


class Resuming:
    """Before a trainer of TRL's: it finds the weights of a save again."""

    model: Any
    is_fsdp_enabled: bool

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Saves have the upstream names of weights; transformers 5 would find none of its own, and only warn.

        Adapters and what is saved in shards have names of their own, and are found.
        """
        target = self.model if model is None else model
        if hasattr(target, "peft_config") or self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        else:
            take_weights(target, Path(resume_from_checkpoint))
