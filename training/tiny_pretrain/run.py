"""A pretraining run: steps, measurements, saves; it goes on from its last save, on a CPU bit for bit."""

from __future__ import annotations

import copy
import logging
import time
from pathlib import Path

import torch
from torch import nn

from cof_agent.errors import ConfigError
from cof_agent.policies.qwen.processor import local_directory
from training.checkpoints import check_same_run, last_save, record_run
from training.tiny_pretrain.answers import measure_answers
from training.tiny_pretrain.lessons import Lessons, on
from training.tiny_pretrain.measure import measure
from training.tiny_pretrain.metrics import Metrics
from training.tiny_pretrain.pupil import Pupil, write_model
from training.tiny_pretrain.rates import Mover
from training.tiny_pretrain.saves import read_save, write_save
from training.tiny_pretrain.settings import PretrainSettings

MODEL = "model"
"""In the output directory: the averaged weights as a checkpoint, as of the last save."""
_log = logging.getLogger("training.tiny_pretrain")
_CLIP = 1.0


def resolve_dtype(settings: PretrainSettings) -> PretrainSettings:
    """The settings with `dtype` decided: it is recorded, so that a run goes on in what it began in."""
    if settings.dtype:
        return settings
    fast = settings.device == "cuda" or torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return settings.model_copy(update={"dtype": "bfloat16" if fast else "float32"})


def pretrain(settings: PretrainSettings) -> Path:
    """Train, or go on training, and return the directory of the trained checkpoint.

    Raises ConfigError for a checkpoint or an output directory that do not fit the settings.
    """
    output, settings = Path(settings.output).expanduser(), resolve_dtype(settings)
    check_same_run(output, settings)
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: cuda, but PyTorch finds no GPU here: set device to cpu")
    base = local_directory(settings.model)
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    device = torch.device(settings.device)
    pupil = Pupil(base, settings.questions, settings.tower, getattr(torch, str(settings.dtype))).to(device)
    averaged = copy.deepcopy(pupil).requires_grad_(False)
    mover = Mover(pupil, settings)
    record_run(output, settings)
    save = last_save(output, clean=True)
    done = read_save(save, pupil, averaged, mover) if save else 0
    moving = [(mean, weight) for mean, weight in zip(averaged.parameters(), pupil.parameters(), strict=True)]
    moving = [(mean, weight) for mean, weight in moving if weight.requires_grad]
    _log.info("%d weights learn, from step %d", sum(weight.numel() for _, weight in moving), done)

    def keep(step: int) -> None:
        write_save(output, step, pupil, averaged, mover)
        write_model(averaged, base, output / MODEL)

    lessons = Lessons(pupil.processor, pupil.profile, settings).after(done)
    metrics = Metrics(output, done)
    saved_at = time.monotonic()
    try:
        for step, lesson in enumerate(lessons, done):
            losses: dict[str, torch.Tensor] = {}
            for told in pupil.losses(on(lesson, device)):
                _descend(told, step)
                losses |= told
            nn.utils.clip_grad_norm_([weight for _, weight in moving], _CLIP)
            mover.step(step)
            share = max(1 - settings.average, 9 / (step + 10))  # while there are few steps, of those there are
            with torch.no_grad():
                for mean, weight in moving:
                    mean.lerp_(weight, share)
            metrics.add(losses, lesson.shown)
            if (step + 1) % settings.log_steps == 0:
                metrics.note_mean(step + 1)
            if (step + 1) % settings.measure_steps == 0:
                metrics.note(step + 1, measure(averaged, settings.measure_views))
                if settings.questions:
                    metrics.note(step + 1, measure_answers(averaged, settings.measure_views))
            if time.monotonic() - saved_at >= 60 * settings.save_minutes:
                keep(step + 1)
                saved_at = time.monotonic()
        if done < settings.steps:
            keep(settings.steps)
        return output / MODEL
    finally:
        metrics.close()


def _descend(losses: dict[str, torch.Tensor], step: int) -> None:
    """Add the gradients of the sum. There may be none: views that show nothing to ask about, and a tower that rests."""
    if not losses:
        return
    total = torch.stack(list(losses.values())).sum()
    if not total.isfinite():
        raise ConfigError(f"the loss is {total} after {step} steps: lower rate and matrix_rate")
    total.backward()
