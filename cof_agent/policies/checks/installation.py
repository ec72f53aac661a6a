"""What is installed here and what it makes possible, read from the package's own metadata."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from cof_agent.dialects.registry import DIALECTS
from cof_agent.policies.kinds import TOLD

if TYPE_CHECKING:
    from rich.console import Console

_PACKAGE = "cof-agent"


def diagnose() -> dict[str, Any]:
    """Python, versions, extras with what each lacks, and policies with what each needs, as plain JSON."""
    names = metadata(_PACKAGE).get_all("Provides-Extra") or []
    extras = {name: {"missing": sorted(set(missing(name))), "install": install(name)} for name in names}
    return {
        "python": platform.python_version(),
        _PACKAGE: version(_PACKAGE),
        "extras": extras,
        "dialects": list(DIALECTS),
        "policies": {
            kind.form: {
                "ready": kind.extra is None or not extras[kind.extra]["missing"],
                "what": kind.what,
                "install": install(kind.extra) if kind.extra else None,
            }
            for kind in TOLD
        },
    }


def install(extra: str) -> str:
    return f'pip install "{_PACKAGE}[{extra}]"'


def missing(extra: str) -> Iterator[str]:
    """The requirements of an extra that are not installed, or not in a version that will do."""
    for line in requires(_PACKAGE) or []:
        requirement = Requirement(line)
        if not requirement.marker or not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name == _PACKAGE:
            for other in requirement.extras:
                yield from missing(other)
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            yield str(requirement.name)
        else:
            if not requirement.specifier.contains(installed, prereleases=True):
                yield f"{requirement.name}{requirement.specifier} (installed: {installed})"


def in_short(diagnosis: dict[str, Any]) -> Iterator[str]:
    """What works, what is missing and how to install it, in a few lines."""
    policies, extras = diagnosis["policies"], diagnosis["extras"]
    yield f"{_PACKAGE} {diagnosis[_PACKAGE]}, Python {diagnosis['python']}"
    yield f"policies that run here: {', '.join(spec for spec, policy in policies.items() if policy['ready'])}"
    for spec, policy in policies.items():
        if not policy["ready"]:
            yield f"not here: {spec}: {policy['install']}"
    told = {policy["install"] for policy in policies.values() if not policy["ready"]}
    for name, extra in extras.items():
        if extra["missing"] and extra["install"] not in told:
            yield f"not here: extra {name} (lacks {', '.join(extra['missing'])}): {extra['install']}"
    yield f"dialects: {', '.join(diagnosis['dialects'])}"
    yield "what a policy needs: cof-agent doctor POLICY; what each one is: cof-agent doctor --verbose"


def print_diagnosis(diagnosis: dict[str, Any], console: Console) -> None:
    """The diagnosis as two tables."""
    from rich.table import Table

    console.print(f"{_PACKAGE} {diagnosis[_PACKAGE]}, Python {diagnosis['python']}", highlight=False)
    policies = Table("policy", "here", "what it does", "to enable", title="Policies", title_justify="left")
    for spec, policy in diagnosis["policies"].items():
        policies.add_row(
            spec, "ready" if policy["ready"] else "no", policy["what"], "" if policy["ready"] else policy["install"]
        )
    extras = Table("extra", "here", "missing", "to enable", title="Extras", title_justify="left")
    for name, extra in diagnosis["extras"].items():
        lacking = extra["missing"]
        extras.add_row(name, "no" if lacking else "ready", ", ".join(lacking), extra["install"] if lacking else "")
    console.print(f"Dialects: {', '.join(diagnosis['dialects'])}", highlight=False)
    for table in (policies, extras):
        for column in table.columns:
            column.overflow = "fold"
        console.print(table, markup=False)
