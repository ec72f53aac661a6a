"""The policy that comes with the package: it opens and answers offline, whatever it answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open
from typer.testing import CliRunner

from cof_agent import ChainOfFocus, FocusConfig, load_policy
from cof_agent.cli.app import app
from cof_agent.dialects import load_profile
from cof_agent.errors import ConfigError
from cof_agent.loop.state import Status
from cof_agent.policies.tiny import FOLDER
from cof_agent.scenes.question import Kind, scene_question
from cof_agent.scenes.render import render
from cof_agent.scenes.split import Split
from tests.support.patience import PATIENCE

OFFLINE = """
import socket, sys

def refuse(*arguments):
    raise AssertionError("it asks for a connection")

socket.socket.connect = socket.getaddrinfo = refuse
from cof_agent import load_policy
print(load_policy("tiny", device="cpu").name)
"""
WITHOUT = """
import sys
sys.modules["torch"] = None
from cof_agent import load_policy
from cof_agent.policies.checks.requirements import check_policy
from cof_agent.errors import MissingExtraError
print(check_policy("tiny")[1].line)
try:
    load_policy("tiny")
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", [Kind.CHARACTER, Kind.RELATION, Kind.ABSENT])
def test_a_question_about_a_scene_ends_with_a_status(kind: Kind) -> None:
    question = scene_question(Split.TEST, 0, kind)
    policy = load_policy("tiny", device="cpu", max_new_tokens=160)
    assert (policy.name, policy.profile) == ("tiny", load_profile(FOLDER / "focus.json"))
    picture = render(question.scene, question.scene.size(448))
    result = ChainOfFocus(policy, config=FocusConfig(max_zooms=2)).ask(picture, question.text)
    assert result.status in (Status.ANSWERED, Status.DECLINED, Status.BUDGET)
    assert result.usage.policy_calls >= 1
    width, height = result.views[0].shown
    assert width * height <= 224**2


def test_the_weights_are_few() -> None:
    with safe_open(FOLDER / "model.safetensors", framework="pt") as weights:
        count = sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118
    assert 4_500_000 < count < 4_700_000


def test_its_options_are_those_of_a_checkpoint() -> None:
    assert load_policy("tiny", device="cpu", dialect="cof-v1").profile.dialect == "cof-v1"
    with pytest.raises(ConfigError, match="no option base_url: choose of device, dtype"):
        load_policy("tiny", base_url="http://127.0.0.1:9/v1")


@pytest.mark.parametrize("offline", ["", "1"])
def test_it_opens_without_a_network(offline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, "tiny\n"), done.stderr


def test_without_the_extra_it_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    there, needed = done.stdout.splitlines()
    assert there.startswith(f"ok       checkpoint {FOLDER}")
    assert needed.endswith('pip install "cof-agent[local]"')


def test_doctor_knows_it() -> None:
    listed = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["policies"]["tiny"]
    assert (listed["ready"], listed["install"]) == (True, 'pip install "cof-agent[local]"')
    done = CliRunner().invoke(app, ["doctor", "tiny"])
    assert done.exit_code == 0, done.stdout
    assert "ok       extra local" in done.stdout
    assert " MB of weights" in done.stdout
    assert "dialect cof, as its focus.json says" in done.stdout
    assert CliRunner().invoke(app, ["doctor", "tiny", "--base-url", "http://127.0.0.1:9/v1"]).exit_code == 2


@pytest.mark.parametrize("command", ["ask", "eval", "collect"])
def test_commands_name_it(command: str) -> None:
    assert "tiny" in CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
