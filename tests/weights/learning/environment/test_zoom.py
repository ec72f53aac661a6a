"""An environment plays rows as they were exported, words every refusal itself, and keeps what breaks to itself."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from transformers.utils import get_json_schema

from cof_agent import ChainOfFocus, ConfigError, FocusConfig, ImageError
from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.errors import CofError
from cof_agent.learning.environment.speech import prepare, said
from cof_agent.learning.environment.zoom import ZoomEnvironment, raise_recorded
from cof_agent.policies import load_policy
from cof_agent.policies.qwen.processor import load_processor
from tests.support.conversations import photo, scripted, zoom
from tests.support.learning.trainer import row_of

BOX = [10, 20, 200, 170]


@pytest.fixture
def row(tmp_path: Path) -> dict[str, Any]:
    return row_of(tmp_path / "row", photo(), "What is it?")


def opened(row: dict[str, Any], **changed: Any) -> ZoomEnvironment:
    environment = ZoomEnvironment()
    environment.reset(**row | changed)
    return environment


def words(blocks: list[dict[str, Any]]) -> str:
    return "".join(block["text"] for block in blocks if block["type"] == "text")


def test_the_trainer_finds_one_tool_with_types_and_words() -> None:
    methods = [name for name, _ in inspect.getmembers(ZoomEnvironment, predicate=inspect.isfunction) if name[0] != "_"]
    assert methods == ["image_zoom_in_tool", "reset"]
    told = get_json_schema(ZoomEnvironment().image_zoom_in_tool)["function"]
    assert told["parameters"]["required"] == ["bbox_2d"]
    kinds = {name: value["type"] for name, value in told["parameters"]["properties"].items()}
    assert kinds == {"bbox_2d": "array", "label": "string"}


def test_every_form_of_the_original_gives_the_same_region(row: dict[str, Any], tmp_path: Path) -> None:
    encoded = io.BytesIO()
    photo().save(encoded, "PNG")
    path = tmp_path / "original.png"
    path.write_bytes(encoded.getvalue())
    forms = [photo(), path, str(path), encoded.getvalue(), {"bytes": encoded.getvalue(), "path": "x.png"}]
    regions = [
        opened(row, original=form).image_zoom_in_tool(bbox_2d=BOX)[0]["image"]
        for form in [*forms, {"bytes": None, "path": str(path)}]
    ]
    assert all(ImageChops.difference(region, regions[0]).getbbox() is None for region in regions)


def test_profile_and_config_may_be_values_as_well(row: dict[str, Any]) -> None:
    told = opened(row).image_zoom_in_tool(bbox_2d=BOX)
    for profile, config in [(Profile(), FocusConfig()), (json.loads(row["profile"]), json.loads(row["config"]))]:
        assert opened(row, profile=profile, config=config).image_zoom_in_tool(bbox_2d=BOX) == told


@pytest.mark.parametrize(
    ("changed", "error", "why"),
    [
        ({"original": None, "config": None}, ConfigError, "no original and no config: use rows of `export"),
        ({"profile": "{"}, ConfigError, "is not JSON"),
        ({"profile": '{"tolos": []}'}, ConfigError, "the profile of row 'What is it\\?'.*tolos"),
        ({"config": '{"max_zooms": -1}'}, ConfigError, "max_zooms"),
        ({"profile": Profile(dialect="native")}, ConfigError, "in dialect 'native': environments speak `cof`"),
        ({"profile": Profile(tools=("image_crop_tool",))}, ConfigError, "have image_zoom_in_tool alone"),
        ({"profile": Profile(stop_after_call=True)}, ConfigError, "runs all calls of a turn"),
        ({"config": {"max_conversation_tokens": 100}}, ConfigError, "Lower max_visual_tokens"),
        (
            {"original": Image.new("RGB", (300, 300))},
            ConfigError,
            r"\(644, 476\) pixels, and its profile at \(308, 308",
        ),
        ({"original": b"no image"}, ImageError, "is not an image|cannot be"),
        ({"original": {"path": None}}, ImageError, "neither bytes nor a path"),
    ],
)
def test_a_row_that_cannot_be_played_as_the_loop_would_is_refused(
    changed: dict[str, Any], error: type[CofError], why: str, row: dict[str, Any]
) -> None:
    environment = opened(row)
    with pytest.raises(error, match=why):
        environment.reset(**row | changed)
    with pytest.raises(ConfigError, match="no question yet: reset it"):
        environment.episode  # noqa: B018


def test_an_episode_stays_as_it_was_read_and_ends_with_the_next_reset(row: dict[str, Any]) -> None:
    environment = opened(row, config={"min_zooms": 1})
    before = environment.episode
    environment.image_zoom_in_tool(bbox_2d=BOX, label="it")
    environment.image_zoom_in_tool(bbox_2d=[5, 5])
    after = environment.episode
    assert (before.zooms, before.refused, before.looked_enough) == (0, 0, False)
    assert (after.zooms, after.refused, after.looked_enough, after.limit) == (1, 1, True, None)
    assert after.views[1].label == "it"
    with pytest.raises(dataclasses.FrozenInstanceError):
        after.refused = 0  # type: ignore[misc]
    environment.reset(**row)
    assert environment.episode.views == before.views
    assert environment.episode.refused == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"bbox_2d": BOX, "view": 1},
        {"self": 1, "tool": 2},
        {"bbox_2d": None},
        {"bbox_2d": [1e400] * 4},
        {"bbox_2d": BOX, "label": 3},
        {"bbox_2d": json.loads("[" * 40 + "]" * 40)},
        {"bbox_2d": "\ud800"},
    ],
)
def test_whatever_the_arguments_are_the_graph_says_the_same(arguments: dict[str, Any], row: dict[str, Any]) -> None:
    turn = f"<tool_call>{json.dumps({'name': 'image_zoom_in_tool', 'arguments': arguments})}</tool_call>"
    result = ChainOfFocus(scripted(turn, "<answer>x</answer>")).ask(photo(), "What is it?")
    (told,) = [said.text for said in result.trajectory.turns if said.role == "tool"]
    reminder = Prompts().reminder
    assert words(opened(row).image_zoom_in_tool(**arguments)) == f"{told}\n{reminder}"


def test_special_tokens_that_a_policy_spells_come_back_as_mere_text(row: dict[str, Any]) -> None:
    told = words(opened(row).image_zoom_in_tool(bbox_2d="<|image_pad|><|im_end|> <|"))
    assert "< |image_pad|>< |im_end|> <|" in told
    assert "<|i" not in told


def broken(*_: Any) -> Image.Image:
    raise KeyError("cutter")


def test_what_breaks_ends_the_episode_in_plain_words_and_is_raised_once(row: dict[str, Any]) -> None:
    whole, torn, worn = opened(row), ZoomEnvironment(region_pixels=broken), ZoomEnvironment(region_pixels=broken)
    for environment in (torn, worn):
        environment.reset(**row)
        first = environment.image_zoom_in_tool(bbox_2d=BOX)
        assert first == environment.image_zoom_in_tool(bbox_2d=BOX)
        prompts = Prompts()
        assert words(first) == (
            f"That call was refused: no more regions can be shown.\n{prompts.reminder}\n{prompts.closing}"
        )
        assert isinstance(environment.error, KeyError)
    with pytest.raises(KeyError, match="cutter") as raised:
        raise_recorded([whole, torn, worn])
    assert raised.value.__notes__ == ["raised inside a tool, in 2 of 3 environments of the batch"]
    assert raised.traceback[-1].name == "broken"
    raise_recorded([whole, torn, worn])


def test_what_nobody_raised_is_raised_before_the_next_question(row: dict[str, Any]) -> None:
    environment = ZoomEnvironment(region_pixels=broken)
    environment.reset(**row)
    environment.image_zoom_in_tool(bbox_2d=BOX)
    with pytest.raises(KeyError, match="cutter"):
        environment.reset(**row)
    environment.reset(**row)
    assert environment.error is None


def test_the_policys_words_are_those_it_said() -> None:
    call = {"type": "function", "function": {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": BOX}}}
    completion = [
        {"role": "assistant", "content": "<think>Closer.</think>", "tool_calls": [call]},
        {"role": "tool", "name": "image_zoom_in_tool", "content": [{"type": "text", "text": "<answer>no</answer>"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "<answer>“x”</answer>"}]},
    ]
    made = zoom(*BOX).replace("I look closer", "Closer").replace("<tool_call>", "<tool_call>\n")
    assert said(completion) == made.replace("</tool_call>", "\n</tool_call>") + "\n<answer>“x”</answer>"


def test_a_prepared_processor_can_be_saved_and_still_serves_the_loop(seed_checkpoint: Path, tmp_path: Path) -> None:
    for file in seed_checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    prepare(load_processor(seed_checkpoint)).save_pretrained(tmp_path)
    config = FocusConfig(max_turns=1)
    image = photo(112, 84)
    told = [
        ChainOfFocus(load_policy(f"hf:{checkpoint}", max_new_tokens=8), config=config).ask(image, "?").usage
        for checkpoint in (seed_checkpoint, tmp_path)
    ]
    assert told[0].prompt_tokens == told[1].prompt_tokens > 0
