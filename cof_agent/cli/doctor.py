"""The commands `doctor` and `profile`: what works here, and how a dialect is spoken."""

from __future__ import annotations

from typing import Annotated

import typer

from cof_agent.cli.options import EXIT_CODES, UrlOption, failures
from cof_agent.cli.output import say, say_json


def doctor(
    policy: Annotated[str | None, typer.Argument(help="Check what this policy needs, for example hf:ID.")] = None,
    base_url: UrlOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also what each policy and extra is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List which policies can run here, and how to enable the others.

    With a POLICY: whether all that it needs is here (packages, weights, memory, key, server), and what to do where
    it is not; exit code 1 then.
    """
    from cof_agent.policies.checks.installation import diagnose, in_short, print_diagnosis

    if policy is None:
        diagnosis = diagnose()
        if as_json:
            say_json(diagnosis)
        elif verbose:
            from cof_agent.cli.console import tables_console

            print_diagnosis(diagnosis, tables_console())
        else:
            for line in in_short(diagnosis):
                say(line)
        return
    from cof_agent.policies.checks.requirements import check_policy
    from cof_agent.policies.environment import EndpointEnvironment

    with failures("nothing was changed"):
        checks = check_policy(policy, base_url, EndpointEnvironment.read())
    if as_json:
        say_json({"policy": policy, "checks": [check.to_json() for check in checks]})
    else:
        for check in checks:
            say(check.line)
    raise typer.Exit(EXIT_CODES["failed"] if any(check.state == "missing" for check in checks) else 0)


def profile(dialect: Annotated[str, typer.Argument(help="A dialect; `doctor` lists them.")]) -> None:
    """Print the default profile of a dialect as JSON: change it and pass it as --profile."""
    with failures("nothing was changed"):
        from cof_agent.dialects.registry import default_profile
        from cof_agent.policies.vendors import VENDORS

        say_json((VENDORS.get(dialect) or default_profile(dialect)).model_dump(mode="json"), indent=2)
