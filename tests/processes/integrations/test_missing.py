from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("smolagents", "cof_agent.integrations.smolagents", "smolagents"),
        ("mcp", "cof_agent.integrations.mcp", "mcp"),
    ],
)
def test_without_its_package_a_host_names_its_extra(package: str, module: str, extra: str) -> None:
    program = f"import sys; sys.modules['{package}'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert f'pip install "cof-agent[{extra}]"' in done.stderr.splitlines()[-1]
