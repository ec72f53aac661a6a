"""`python -m training.tiny_pretrain --config training/configs/NAME.yaml`."""

from __future__ import annotations

import argparse
import logging
import sys

from cof_agent.errors import CofError
from training.settings import load_settings
from training.tiny_pretrain.run import pretrain
from training.tiny_pretrain.settings import PretrainSettings


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit code: 1 for an error, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m training.tiny_pretrain", description=__doc__)
    parser.add_argument("--config", required=True, help="a YAML file; see training/configs")
    parser.add_argument("--model", help="instead of the configuration's")
    parser.add_argument("--output", help="instead of the configuration's")
    parser.add_argument("--steps", type=int, help="instead of the configuration's")
    given = parser.parse_args(arguments)
    changes = {name: value for name, value in vars(given).items() if name != "config" and value is not None}
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    try:
        print(pretrain(load_settings(given.config, PretrainSettings, **changes)))
    except CofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from the last save", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
