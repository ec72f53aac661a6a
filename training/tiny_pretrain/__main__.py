"""`python -m training.tiny_pretrain --config training/configs/NAME.yaml`."""

from __future__ import annotations

from training.command import run_command
from training.tiny_pretrain.run import pretrain
from training.tiny_pretrain.settings import PretrainSettings


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return run_command("tiny_pretrain", "Pretraining from nothing, on scenes.", PretrainSettings, pretrain, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
