"""The loop against a real OpenAI-compatible server, `transformers serve`, through a real client.

The taught checkpoint zooms once and then names the colour of the region. `taught_checkpoint` itself tells the server
to hand on its words as they are (dialects in text); `parsed` leaves it to the server to find the tool calls.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from langchain_openai import ChatOpenAI

from cof_agent import ChainOfFocus, FocusConfig, FocusResult
from cof_agent.dialects.profile import Profile
from cof_agent.policies import Policy
from cof_agent.policies.qwen.processor import load_processor
from tests.support.patience import PATIENCE
from tests.support.teaching import BOX, QUESTIONS, as_shown, offered, prompts_of, scene, taught_profile


@pytest.fixture(scope="module")
def parsed(taught_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The taught checkpoint, with the server's own way of reading replies: calls and thoughts leave the text."""
    folder = Path(shutil.copytree(taught_checkpoint, tmp_path_factory.mktemp("parsed") / "checkpoint"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["response_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def agent(base_url: str, model: Path | str, profile: Profile, limits: FocusConfig | None = None, **options: Any) -> Any:
    client = ChatOpenAI(
        base_url=base_url,
        model=str(model),
        api_key="unused",
        max_retries=0,
        timeout=PATIENCE,
        **{"max_tokens": 100, "stream_usage": True, **options},
    )
    return ChainOfFocus(Policy(client, profile, "served"), config=limits)


def ask(agent: ChainOfFocus, ground: str, middle: str, *, asynchronous: bool = False) -> FocusResult:
    image = scene(ground, middle)
    return asyncio.run(agent.aask(image, QUESTIONS[0])) if asynchronous else agent.ask(image, QUESTIONS[0])


def prompt_tokens(checkpoint: Path, dialect: str, ground: str, middle: str) -> int:
    """Of both turns together, counted here."""
    processor = load_processor(checkpoint)
    total = 0
    for prompt in prompts_of(dialect, ground, middle, QUESTIONS[0]):
        inputs = processor.apply_chat_template(
            [as_shown(message) for message in prompt],
            tools=offered(dialect),
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
        )
        total += len(inputs["input_ids"][0])
    return total


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", ["cof", "native"])
def test_it_zooms_once_and_sees_what_is_there(
    model_server: str, taught_checkpoint: Path, parsed: Path, dialect: str, streaming: bool, asynchronous: bool
) -> None:
    """The two images differ in nothing but which colour is where, so both the overview and the region arrived."""
    served = agent(
        model_server, parsed if dialect == "native" else taught_checkpoint, taught_profile(dialect), streaming=streaming
    )
    for ground, middle in (("red", "blue"), ("blue", "red")):
        result = ask(served, ground, middle, asynchronous=asynchronous)
        assert (result.status, result.answer, result.message) == ("answered", middle, None)
        assert (result.usage.policy_calls, result.usage.zooms) == (2, 1)
        assert [view.kind for view in result.views] == ["overview", "zoom"]
        assert result.views[1].box.as_list() == [70, 70, 154, 154]
        assert result.usage.visual_tokens == 64 + 36
        assert result.usage.prompt_tokens == prompt_tokens(taught_checkpoint, dialect, ground, middle)
        assert 40 < result.usage.completion_tokens < 150


def test_calls_that_the_server_leaves_in_the_text_are_found(model_server: str, taught_checkpoint: Path) -> None:
    result = ask(agent(model_server, taught_checkpoint, taught_profile("native")), "green", "white")
    assert (result.status, result.answer, result.usage.zooms) == ("answered", "white", 1)


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_calls_that_the_server_takes_out_of_the_text_are_put_back(
    model_server: str, parsed: Path, streaming: bool
) -> None:
    """A dialect in text, behind a server that parses tool calls although it was offered no tools."""
    result = ask(agent(model_server, parsed, taught_profile("cof"), streaming=streaming), "green", "white")
    assert (result.status, result.answer, result.usage.zooms) == ("answered", "white", 1)
    call = next(turn.text for turn in result.trajectory.turns if turn.role == "policy")
    assert call.endswith("</tool_call>")
    assert call.count("<tool_call>") == 1


def test_several_questions_at_once_keep_apart(model_server: str, taught_checkpoint: Path) -> None:
    served = agent(model_server, taught_checkpoint, taught_profile("cof"))

    async def all_of_them() -> list[FocusResult]:
        pairs = [("red", "blue"), ("green", "white"), ("white", "green"), ("blue", "red")]
        return await asyncio.gather(*(served.aask(scene(*pair), QUESTIONS[1]) for pair in pairs))

    assert [result.answer for result in asyncio.run(all_of_them())] == ["blue", "white", "green", "red"]


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])
def test_gibberish_ends_within_the_limits(model_server: str, seed_checkpoint: Path, streaming: bool) -> None:
    """The seed has learnt nothing: its text is neither call nor answer, and each turn is cut at its limit."""
    limits = FocusConfig(max_turns=2, max_refused=5)
    served = agent(model_server, seed_checkpoint, Profile(), limits, max_tokens=16, streaming=streaming)
    result = ask(served, "red", "blue")
    assert (result.status, result.stop_reason) == ("budget", "reply_cut")
    assert (result.usage.policy_calls, result.usage.refused) == (3, 2)
    assert result.usage.completion_tokens == 3 * 16
    assert result.usage.prompt_tokens > 3 * 64


def test_a_turn_that_is_cut_short_is_no_zoom(model_server: str, taught_checkpoint: Path) -> None:
    served = agent(model_server, taught_checkpoint, taught_profile("cof"), FocusConfig(max_turns=1), max_tokens=30)
    result = ask(served, "red", "blue")
    assert (result.usage.zooms, result.stop_reason) == (0, "turn_limit")
    assert str(BOX) not in str(result.answer)


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ("here", {"extra_body": {"top_k": 5}}, "top_k"),
        ("/no/such/checkpoint", {}, "500|Internal Server Error"),
    ],
    ids=["a field it does not know", "a model it does not have"],
)
def test_what_the_server_refuses_is_said(
    model_server: str, taught_checkpoint: Path, model: str, options: dict[str, Any], words: str
) -> None:
    name = taught_checkpoint if model == "here" else model
    result = ask(agent(model_server, name, taught_profile("cof"), **options), "red", "blue")
    assert (result.status, result.stop_reason, result.answer) == ("failed", "policy_error", None)
    assert any(word in str(result.message) for word in words.split("|"))
    assert [view.kind for view in result.views] == ["overview"]
