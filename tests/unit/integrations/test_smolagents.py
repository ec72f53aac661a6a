"""The smolagents tool in both kinds of agent, with an image as variable, path and bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from smolagents import CodeAgent, ToolCallingAgent
from smolagents.agent_types import AgentImage
from smolagents.utils import AgentExecutionError, AgentToolCallError, AgentToolExecutionError

from cof_agent import ChainOfFocus, ConfigError, FocusConfig
from cof_agent.integrations.smolagents import ChainOfFocusTool
from tests.support.integrations.hosts import DARK, IN_SECOND, NINE, agent, agent_of_several, other_photo, photo
from tests.support.integrations.smolagents_models import Script, calls, tool, writes

pytestmark = pytest.mark.slow


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
        (
            {"image": 7, "question": "Until when?"},
            AgentToolCallError,
            "should be '['image', 'object', 'string', 'array']'",
        ),
        (
            {"image": "missing.png", "question": "?"},
            AgentToolExecutionError,
            "missing.png does not exist: check the path",
        ),
        ({"image": __file__, "question": "?"}, AgentToolExecutionError, "save it as PNG, JPEG or WebP"),
        ({"image": ["a", "b"], "question": "?"}, AgentToolExecutionError, "the dialect cof cannot say which image"),
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


def test_a_question_about_two_images(photo_file: Path, other_file: Path) -> None:
    both, names = [photo(), AgentImage(other_photo())], [str(photo_file), str(other_file)]
    looks = ChainOfFocusTool(agent_of_several(), regions=True)
    for image in (both, tuple(names), names, json.dumps(names), [photo_file, other_file.read_bytes()]):
        found = looks(image=image, question="Until when?")
        assert [(item["image_index"], item["box"]) for item in found["evidence"]] == [(1, IN_SECOND)]
        assert [(region["image_index"], region["box"]) for region in found["regions"]] == [(1, IN_SECOND)]
    assert "list" in looks.inputs["image"]["description"]
    assert "list" not in tool().inputs["image"]["description"]


def test_agents_ask_about_two_images(photo_file: Path, other_file: Path) -> None:
    looks = ChainOfFocusTool(agent_of_several())
    asks = (
        {"image": "photos", "question": "Until when?"},
        {"image": [str(photo_file), str(other_file)], "question": "?"},
    )
    photos: Any = {"photos": [photo(), other_photo()]}
    for call in asks:
        model = Script(calls("look_closely", **call), calls("final_answer", answer="Nine."))
        calling = ToolCallingAgent(tools=[looks], model=model, verbosity_level=0)
        assert calling.run("Until when?", additional_args=photos) == "Nine."
        assert "nine" in str(model.seen[-1][-1].content)
    model = Script(writes('final_answer(look_closely(image=[photos[0], photos[1]], question="Until when?"))'))
    assert CodeAgent(tools=[looks], model=model, verbosity_level=0).run("?", additional_args=photos) == "nine"


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


def test_no_demo_is_saved_that_could_not_start(tmp_path: Path) -> None:
    made = ChainOfFocusTool("reader")
    made.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"tool.py", "requirements.txt"}
    assert {file.path_in_repo for file in made._prepare_hub_files()} == {"tool.py", "requirements.txt"}


def test_a_tool_made_from_an_object_says_that_it_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'make it from the spec of a policy, such as ChainOfFocusTool\("reader"\)'):
        tool(NINE).save(tmp_path / "saved")
