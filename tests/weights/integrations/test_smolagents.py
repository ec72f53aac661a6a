"""The smolagents tool in both kinds of agent, with an image as variable, path and bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from smolagents import CodeAgent

from cof_agent.integrations.smolagents import REGIONS, ChainOfFocusTool
from tests.support.integrations.hosts import REGION, photo, script
from tests.support.integrations.smolagents_models import Script, tool, writes
from tests.support.patience import PATIENCE


def test_a_code_agent_goes_on_with_the_regions() -> None:
    code = (
        'found = look_closely(image=photo, question="Until when?")\n'
        'region = found["regions"][0]\n'
        'proof = found["evidence"][0]["box"]\n'
        'final_answer([found["answer"], found["status"], proof, region["box"], region["image"].size])'
    )
    agent = CodeAgent(tools=[tool(regions=True)], model=Script(writes(code)), verbosity_level=0)
    seen = agent.run("Until when?", additional_args={"photo": photo()})
    assert seen == ["nine", "answered", REGION, REGION, (168, 112)]
    told = agent.memory.system_prompt.system_prompt
    assert all(f'"{name}"' in told for name in REGIONS["properties"]), "the agent is told what it gets"


def test_saved_and_loaded_in_another_process_it_answers(photo_file: Path, tmp_path: Path) -> None:
    made = ChainOfFocusTool(script(tmp_path), regions=True)
    made.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "requirements.txt").read_text() == "cof-agent[smolagents]\nsmolagents"
    program = (
        "import sys; from smolagents import Tool; folder, image = sys.argv[1:]\n"
        "tool = Tool.from_code(open(folder + '/tool.py').read())\n"
        "found = tool(image=image, question='Until when?'); print(found['answer'], found['regions'][0]['box'])\n"
        "tool.save(folder + '/again')"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "saved"), str(photo_file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"nine {REGION}\n"), done.stderr
    again = (tmp_path / "saved" / "again" / "tool.py").read_text()
    assert again == (tmp_path / "saved" / "tool.py").read_text(), "a loaded tool can be saved as well"


@pytest.mark.parametrize(
    ("spec", "extra"), [("reader", "reader"), ("tiny", "local"), ("openai:gpt-4o", "openai"), ("ollama:m", "providers")]
)
def test_what_a_saved_tool_requires(spec: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not to be saved")
    saved = ChainOfFocusTool(spec).to_dict()
    assert saved["requirements"] == [f"cof-agent[{extra},smolagents]", "smolagents"]
    assert "not to be saved" not in str(saved)
