"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cof_agent.cli.limits import in_options
from cof_agent.cli.options import ProfileOption, failures
from cof_agent.cli.output import say

_TOLD = 5
"""Rows left out that are told one by one."""


def export_command(
    source: Annotated[
        Path, typer.Argument(help="A directory that `collect`, `eval` or --save wrote, or rows to turn.")
    ],
    out: Annotated[Path, typer.Option(help="A new or empty directory.")],
    to: Annotated[
        str,
        typer.Option(
            help="trl: rows for its SFTTrainer; trl-grpo: prompts for its GRPOTrainer; verl: questions for its "
            "agent loop; sharegpt: LLaMA-Factory."
        ),
    ] = "trl",
    origin: Annotated[
        str, typer.Option("--from", help="trajectories, sharegpt (a file or directory) or trl (rows or prompts).")
    ] = "trajectories",
    form: Annotated[
        str, typer.Option("--format", help="Of rows for trl: jsonl with images beside it, or parquet.")
    ] = "jsonl",
    profile: ProfileOption = None,
    images: Annotated[
        Path | None, typer.Option(help="The folder that image paths of sharegpt rows count from.")
    ] = None,
    allow_test: Annotated[
        bool,
        typer.Option(
            "--allow-test", help="Export what was made from a test set as well. Its figures are then worthless."
        ),
    ] = False,
) -> None:
    """Write training files from trajectories: what the policy was sent, word for word, and what it said.

    `datasets.load_dataset("OUT")` reads what is written for trl.
    """
    with failures("nothing was written"):
        from cof_agent.dialects.registry import load_profile
        from cof_agent.learning.exports.exporting import export

        done = export(
            source,
            out,
            to=to,
            origin=origin,
            form=form,
            profile=load_profile(profile) if profile else None,
            images=images,
            allow_test=allow_test,
        )
    for left in done.left_out[:_TOLD]:
        say(f"cof-agent: left out {left.where}: {in_options(left.why)}", err=True)
    if len(done.left_out) > _TOLD:
        say(f"cof-agent: left out {len(done.left_out)} in all", err=True)
    say(f"{done.rows} rows in {done.directory}")
