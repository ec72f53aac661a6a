"""The smolagents tool in both kinds of agent, with an image as variable, path and bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from smolagents import CodeAgent, ToolCallingAgent
from smolagents.agent_types import AgentImage
from smolagents.models import ChatMessage, ChatMessageToolCall, ChatMessageToolCallFunction, MessageRole, Model
from smolagents.utils import AgentExecutionError, AgentToolCallError, AgentToolExecutionError

from cof_agent import ChainOfFocus, ConfigError, FocusConfig
from cof_agent.integrations.smolagents import REGIONS, ChainOfFocusTool
from tests.integrations.hosts import DARK, NINE, REGION, agent, photo, script
from tests.patience import PATIENCE


class Script(Model):
    """Replays messages."""

    def __init__(self, *messages: ChatMessage) -> None:
        super().__init__(model_id="script")
        self.messages = list(messages)
        self.seen: list[Any] = []

    def generate(self, messages: list[ChatMessage], *args: Any, **kwargs: Any) -> ChatMessage:
        self.seen.append(messages)
        return self.messages.pop(0)


def calls(name: str, **arguments: Any) -> ChatMessage:
    function = ChatMessageToolCallFunction(name=name, arguments=arguments)
    call = ChatMessageToolCall(id=f"call_{name}", type="function", function=function)
    return ChatMessage(role=MessageRole.ASSISTANT, content="", tool_calls=[call])


def writes(code: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.ASSISTANT, content=f"Thought: I look.\n<code>\n{code}\n</code>")


def tool(*turns: str, regions: bool = False) -> ChainOfFocusTool:
    return ChainOfFocusTool(agent(*turns), regions=regions)


def test_a_tool_calling_agent() -> None:
    model = Script(
        calls("look_closely", image="photo", question="Until when is it open?"),
        calls("final_answer", answer="It is open until nine."),
    )
    agent = ToolCallingAgent(tools=[tool()], model=model, verbosity_level=0)
    assert agent.run("Until when is it open?", additional_args={"photo": photo()}) == "It is open until nine."
    assert "nine" in str(model.seen[-1][-1].content), "the tool's answer is what the agent saw next"


def test_a_code_agent() -> None:
    model = Script(writes('final_answer(look_closely(image=photo, question="Until when is it open?"))'))
    agent = CodeAgent(tools=[tool()], model=model, verbosity_level=0)
    assert agent.run("Until when is it open?", additional_args={"photo": photo()}) == "nine"


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


def test_paths_pictures_and_refusals(photo_file: Path) -> None:
    for image in (
        photo_file,
        str(photo_file),
        photo_file.as_uri(),
        photo(),
        AgentImage(photo()),
        photo_file.read_bytes(),
    ):
        assert tool()(image=image, question="Until when?") == "nine"
    assert tool(DARK)(image=photo(), question="Until when?") == "No answer (declined): too dark"
    assert tool(DARK, regions=True)(photo(), "Until when?") == {
        "answer": "No answer (declined): too dark", "status": "declined", "evidence": [], "regions": []
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"question": "Until when?"}, AgentToolCallError, "Argument image is required"),
        ({"image": 7, "question": "Until when?"}, AgentToolCallError, "should be '['image', 'object', 'string']'"),
        (
            {"image": "missing.png", "question": "?"},
            AgentToolExecutionError,
            "missing.png does not exist: check the path",
        ),
        ({"image": __file__, "question": "?"}, AgentToolExecutionError, "save it as PNG, JPEG or WebP"),
        (
            {"image": "photo", "question": "?", "zoom": True},
            AgentToolCallError,
            "zoom is not in the tool's input schema",
        ),
        ({"image": "photo", "question": ""}, AgentToolExecutionError, "the question must be a text that is not empty"),
    ],
)
def test_bad_calls_of_a_tool_calling_agent(arguments: dict[str, Any], kind: type[Exception], said: str) -> None:
    model = Script(calls("look_closely", **arguments), calls("final_answer", answer="I cannot."))
    agent = ToolCallingAgent(tools=[tool()], model=model, verbosity_level=0)
    agent.run("Until when is it open?", additional_args={"photo": photo()})
    error = agent.memory.steps[1].error
    assert type(error) is kind
    assert said in str(error)
    assert said in str(model.seen[-1][-1].content), "the agent's model reads it"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('question="Until when?"', "missing a required argument: 'image': call look_closely(image=…, question=…)"),
        ('image=7, question="Until when?"', "a value of type int is no image source: pass a path"),
        ('image="missing.png", question="Until when?"', "missing.png does not exist: check the path"),
        (
            'image=photo, question="?", zoom=True',
            "unexpected keyword argument 'zoom': call look_closely(image=…, question",
        ),
        ("image=photo, question=7", "the question must be a text that is not empty, not 7"),
    ],
)
def test_bad_calls_of_a_code_agent(arguments: str, said: str) -> None:
    model = Script(writes(f"look_closely({arguments})"), writes('final_answer("I cannot.")'))
    agent = CodeAgent(tools=[tool()], model=model, verbosity_level=0)
    agent.run("Until when is it open?", additional_args={"photo": photo()})
    error = agent.memory.steps[1].error
    assert type(error) is AgentExecutionError
    assert said in str(error)


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
    ("given", "said"),
    [
        ({"image": "photo.png"}, "missing a required argument: 'question': call look_closely(image=…, question=…)"),
        ({"image": "photo.png", "question": "?", "zoom": 1}, "unexpected keyword argument 'zoom': call look_closely("),
        ({}, "missing a required argument: 'image': call look_closely("),
    ],
)
def test_a_bad_mapping_of_arguments(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tool()(given)
    assert said in str(caught.value)
    assert tool()({"image": photo(), "question": "Until when?"}) == "nine"


def test_an_agent_that_asks_a_person_is_refused() -> None:
    asks_somebody = ChainOfFocus(agent().policy, config=FocusConfig(ask_at_end=True))
    with pytest.raises(ConfigError, match="the smolagents tool asks nobody: leave ask_before_zoom and ask_at_end"):
        ChainOfFocusTool(asks_somebody)


@pytest.mark.parametrize(
    ("spec", "extra"), [("reader", "reader"), ("tiny", "local"), ("openai:gpt-4o", "openai"), ("ollama:m", "providers")]
)
def test_what_a_saved_tool_requires(spec: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not to be saved")
    saved = ChainOfFocusTool(spec).to_dict()
    assert saved["requirements"] == [f"cof-agent[{extra},smolagents]", "smolagents"]
    assert "not to be saved" not in str(saved)


def test_no_demo_is_saved_that_could_not_start(tmp_path: Path) -> None:
    made = ChainOfFocusTool("reader")
    made.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"tool.py", "requirements.txt"}
    assert {file.path_in_repo for file in made._prepare_hub_files()} == {"tool.py", "requirements.txt"}


def test_a_tool_made_from_an_object_says_that_it_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'make it from the spec of a policy, such as ChainOfFocusTool\("reader"\)'):
        tool(NINE).save(tmp_path / "saved")
