"""The command that launches a recipe."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from cof_agent.errors import CofError
from training.settings import Told, load_settings


def run_command(
    recipe: str, description: str, kind: type[Told], train: Callable[[Told], Path], arguments: list[str] | None
) -> int:
    """Read settings of `kind` and `train` with them. Returns the exit code: 1 for an error, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog=f"python -m training.{recipe}", description=description)
    parser.add_argument("--config", required=True, help="a YAML file; see training/configs")
    parser.add_argument("--model", help="instead of the configuration's")
    if "data" in kind.model_fields:
        parser.add_argument("--data", help="instead of the configuration's")
    parser.add_argument("--output", help="instead of the configuration's")
    parser.add_argument("--steps", type=int, help="optimizer steps instead of the configuration's, to try it out")
    given = parser.parse_args(arguments)
    changes = {name: value for name, value in vars(given).items() if name != "config" and value is not None}
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    try:
        print(train(load_settings(given.config, kind, **changes)))
    except CofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last save", file=sys.stderr)
        return 130
    return 0
