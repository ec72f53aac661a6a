"""Runs of `training.sft` on the CPU whose weights are sharded: `accelerate launch … -m … CONFIG …`.

Each is trained, then loses its end and half a shard of its last save, and is trained again. What it ended with at first
is kept beside.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from training.checkpoints import last_save
from training.settings import load_settings
from training.sft import main

made = AcceleratorState.__init__


def sharded(self: Any, *given: Any, fsdp_plugin: Any = None, **more: Any) -> None:
    """PyTorch shards on the CPU too, but accelerate 1.15 asks it to on accelerators only."""
    made(self, *given, fsdp_plugin=fsdp_plugin, **more)
    if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP


def tear(output: Path) -> None:
    (output / "final").rename(output / "first_final")
    save = last_save(output)
    assert save is not None
    shard = save / "pytorch_model_fsdp_0" / "__1_0.distcp"
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])


if __name__ == "__main__":
    AcceleratorState.__init__ = sharded
    for config in sys.argv[1:]:
        assert main(["--config", config]) == 0
        if PartialState().is_main_process:
            tear(Path(load_settings(config).output))
        PartialState().wait_for_everyone()
        assert main(["--config", config]) == 0
