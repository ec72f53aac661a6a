"""On which processor a benchmark ran, and how it says whether a target is reached.

Every target is a ratio to something else that the same run measured, so that it holds on fast processors and slow ones.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

_TOLD = ("avx", "avx2", "avx512f", "avx512_vnni", "amx_tile", "neon", "asimd", "sve")
"""Flags of processors that make image code and small models faster or slower."""


def machine() -> str:
    """One line: the processor, its cores that this process may use, what it can, and how busy it is."""
    about = _about()
    name = about.get("model name") or about.get("Model") or platform.processor() or platform.machine()
    flags = set((about.get("flags") or about.get("Features") or "").split())
    known = [flag for flag in _TOLD if flag in flags] or ["no vector instructions that it tells of"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {cores} of {os.cpu_count()} cores, {' '.join(known)}{load}"


def report(what: str, value: float, unit: str, reached: bool, wanted: str) -> bool:
    """Print a figure and its target; whether it is reached."""
    print(f"{what} {value:.2f} {unit} (wanted: {wanted}){'' if reached else '  MISSED'}")
    return reached


def must_take(ideal: float, busy: float, alone: float, its_busy: float) -> float:
    """Seconds that something must take which waits for `ideal` seconds and works for `busy` seconds of the processor.

    How long such work takes is read off something else of the same ideal, which took `alone` and worked for `its_busy`:
    more than itself where others use the processor too.
    """
    return ideal + busy * max(1.0, (alone - ideal) / its_busy)


def _about() -> dict[str, str]:
    """What Linux says of the first processor."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
