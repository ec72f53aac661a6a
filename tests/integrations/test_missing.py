from __future__ import annotations

import subprocess
import sys


def test_without_smolagents_the_tool_names_its_extra() -> None:
    program = "import sys; sys.modules['smolagents'] = None; import cof_agent.integrations.smolagents"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'pip install "cof-agent[smolagents]"' in done.stderr.splitlines()[-1]
