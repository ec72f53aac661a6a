"""`cof-agent doctor`: what is installed, what runs here, how to get the rest."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from cof_agent.cli.app import app
from cof_agent.policies.checks.installation import diagnose

pytestmark = pytest.mark.slow


def test_it_lists_extras_policies_and_commands() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert (done.exit_code, done.stderr) == (0, "")
    value = json.loads(done.stdout)
    assert value == diagnose()
    assert value["cof-agent"] == version("cof-agent")
    assert value["extras"]["reader"] == {"missing": [], "install": 'pip install "cof-agent[reader]"'}
    assert value["extras"]["serve"]["missing"], "the server's command line is never installed beside the tests"
    assert value["policies"]["reader"]["ready"]
    assert value["policies"]["script:FILE"] == {
        "ready": True, "what": "replays given turns, for tests and examples", "install": None
    }  # fmt: skip


def test_the_tables_name_the_command_for_what_is_missing() -> None:
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "160"})
    assert done.exit_code == 0
    assert 'pip install "cof-agent[serve]"' in done.stdout
    assert "langgraph-cli" in done.stdout
    assert 'pip install "cof-agent[reader]"' not in done.stdout, "it is installed"


def test_an_extra_that_consists_of_others_lacks_what_they_lack() -> None:
    extras = diagnose()["extras"]
    parts = [extras[name]["missing"] for name in ("reader", "sqlite", "smolagents")]
    assert extras["all"]["missing"] == sorted({name for missing in parts for name in missing})
