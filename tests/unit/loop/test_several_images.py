"""Several images in one question: which is shown, looked at, pointed to, forgotten, and named in errors."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import tool_call
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image

from cof_agent import (
    Box,
    ChainOfFocus,
    ConfigError,
    FailedQuestion,
    FocusConfig,
    FocusResult,
    ImageError,
    MemoryStore,
    Policy,
    Profile,
    QuestionError,
    Request,
    Trajectory,
    build_graph,
)
from cof_agent.dialects import DIALECTS, default_profile
from cof_agent.dialects.tools import ZOOM, image_tools
from cof_agent.loop.overview import MAX_IMAGES
from tests.support.conversations import WatchedModel, call, images, photo, texts, zoom
from tests.unit.dialects.test_every_dialect import in_xml

pytestmark = pytest.mark.slow

SMALL = photo(640, 480)
LARGE = Image.effect_noise((1000, 667), 64).convert("RGB")
PAIR = [SMALL, LARGE]
SAVED = Profile(several_images=True)
"""The dialect `cof`, for policies that were made for several images."""


def look(*box: float, **more: Any) -> AIMessage:
    """A native call."""
    return AIMessage("", tool_calls=[tool_call(name="image_zoom_in_tool", args={"bbox_2d": list(box), **more}, id="1")])


def policy(name: str, *turns: str | AIMessage, profile: Profile | None = None) -> Policy:
    return Policy(WatchedModel(turns=list(turns), prompts=[]), profile or default_profile(name), name)


def prompts(asked: Policy) -> Any:
    model = asked.model
    assert isinstance(model, WatchedModel)
    return model.prompts


TURNS: dict[str, tuple[str | AIMessage, ...]] = {
    "qwen3": (call("image_zoom_in_tool", bbox_2d=[100, 100, 300, 300], label="sign", img_idx=1), "The second."),
    "qwen3.5": ("small\n</think>\n\n" + in_xml(ZOOM, bbox_2d=[100, 100, 300, 300], img_idx=1), "The second."),
    "pixel-reasoner": (
        call("crop_image_normalized", bbox_2d=[0.1, 0.1, 0.3, 0.3], target_image=2),
        "\\boxed{The second.}",
    ),
    "native": (look(100, 70, 300, 200, image=1), AIMessage("The second.")),
}


@pytest.mark.parametrize("name", TURNS)
def test_a_policy_looks_at_the_second_and_the_evidence_is_in_it(name: str, tmp_path: Path) -> None:
    asked = policy(name, *TURNS[name])
    result = ChainOfFocus(asked, save=tmp_path).ask(PAIR, "Which one is open?")
    assert (result.answer, result.usage.zooms, result.usage.refused) == ("The second.", 1, 0)
    assert [(view.kind[:4], view.image_index) for view in result.views] == [
        ("over", 0), ("over", 1), ("zoom" if name != "pixel-reasoner" else "crop", 1)
    ]  # fmt: skip
    assert [view.box for view in result.views[:2]] == [Box(0, 0, 640, 480), Box(0, 0, 1000, 667)]
    assert [(item.view, item.image_index) for item in result.evidence] == [(2, 1)]
    cut = LARGE.crop(result.views[2].box.as_list()).resize(result.views[2].shown, Image.Resampling.LANCZOS)
    shown = result.view_image(2)
    assert sum(abs(a - b) for a, b in zip(cut.getpixel((9, 9)), shown.getpixel((9, 9)), strict=True)) < 90  # type: ignore[arg-type]
    assert [record.width for record in result.images] == [640, 1000]
    told = result.to_json()
    assert (told["image"]["width"], [one["width"] for one in told["images"]]) == (640, [640, 1000])
    first = prompts(asked)[0]
    assert images(first) == 2
    assert [block["type"] for block in first[-1].content][:3] == ["image", "image", "text"]
    assert result.trajectory == Trajectory.from_json(json.loads((tmp_path / "trajectories.jsonl").read_text()))


def test_the_graph_takes_a_list_and_keeps_no_secret(tmp_path: Path) -> None:
    SMALL.save(tmp_path / "a.png")
    buffer = io.BytesIO()
    LARGE.save(buffer, "PNG")
    inline = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    graph = build_graph(policy("qwen3", *TURNS["qwen3"]), checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    output = graph.invoke({"image": [str(tmp_path / "a.png"), inline], "question": "Which?"}, thread)
    assert [original["width"] for original in output["originals"]] == [640, 1000]
    assert output["original"] == output["originals"][0]
    assert [item["image_index"] for item in output["evidence"]] == [1]
    assert not any(inline[-400:-300] in repr(state.values) for state in graph.get_state_history(thread))
    question = output["messages"][0]
    assert [block["type"] for block in question.content] == ["image", "image", "text"]
    assert [view["image_index"] for view in question.additional_kwargs["views"]] == [0, 1]


def test_an_image_that_is_not_named_or_not_there_is_refused_in_the_policys_words() -> None:
    said = {
        "qwen3": (call("image_zoom_in_tool", bbox_2d=[1, 1, 900, 900], label="x"), "img_idx must be a whole number"),
        "qwen3.5": (in_xml(ZOOM, bbox_2d=[1, 1, 900, 900]), "img_idx must be a whole number"),
        "pixel-reasoner": (
            call("crop_image_normalized", bbox_2d=[0.1, 0.1, 0.3, 0.3]),
            "it is missing; the images are target_image 1 to target_image 2",
        ),
        "native": (look(1, 1, 90, 90), "image must be a whole number, and it is missing; the images are numbered 0"),
    }
    for name, (turn, told) in said.items():
        asked = policy(name, turn, *TURNS[name])
        assert ChainOfFocus(asked).ask(PAIR, "Which?").usage.refused == 1
        assert any(told in text for text in texts(prompts(asked)[1])), name
    asked = policy("native", look(1, 1, 90, 90, image=2), *TURNS["native"])
    ChainOfFocus(asked).ask(PAIR, "Which?")
    assert any("there is no image 2: the images are numbered 0 to 1" in text for text in texts(prompts(asked)[1]))


@pytest.mark.parametrize("name", ["qwen3", "qwen3.5"])
def test_where_images_alone_are_counted_a_region_has_no_number(name: str) -> None:
    def at(index: int) -> str:
        arguments = {"bbox_2d": [100, 100, 300, 300], "label": "sign", "img_idx": index}
        return in_xml(ZOOM, **arguments) if name == "qwen3.5" else call(ZOOM, **arguments)

    profile = default_profile(name).model_copy(update={"counted": "images"})
    asked = policy(name, at(1), at(2), "There: " + POINTED % ', "img_idx": 2', profile=profile)
    result = ChainOfFocus(asked).ask(PAIR, "Which?")
    assert (result.usage.zooms, result.usage.refused, result.views[2].image_index) == (1, 1, 1)
    assert [(item.view, item.source) for item in result.evidence] == [(2, "last_view")], "the box names no image"
    system, *_, refused = (texts([message])[0] for message in prompts(asked)[-1] if message.type != "ai")
    assert "1 the second of the question's" in system
    assert "there is no img_idx 2: the images are img_idx 0 to img_idx 1" in refused


def test_the_tools_say_what_a_number_counts() -> None:
    profile = default_profile("native").model_copy(update={"counted": "images", "any_view": True})
    for images_, required in ((1, ["bbox_2d"]), (2, ["bbox_2d", "view"])):
        (tool,) = image_tools(profile, images_)
        told = convert_to_openai_tool(tool)["function"]
        assert told["parameters"]["required"] == required
        assert "the regions shown have no number" in told["parameters"]["properties"]["view"]["description"]
        assert "any image of the question" in told["description"]


@pytest.mark.parametrize("name", sorted(set(DIALECTS) - TURNS.keys()))
def test_a_dialect_that_names_no_image_is_not_asked(name: str, tmp_path: Path) -> None:
    asked = policy(name, "nothing")
    SMALL.save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    with pytest.raises(
        ConfigError, match=f"2 images for .* dialect {name} .*one question for each image.*qwen3"
    ) as error:
        ChainOfFocus(asked).ask(PAIR, "Which?")
    with pytest.raises(ConfigError, match="2 images"):
        build_graph(asked).invoke({"image": [path, path], "question": "Which?"})
    assert prompts(asked) == []
    assert not isinstance(error.value, QuestionError)
    assert f"for the policy {name}: " in str(error.value)
    assert "the policy reader" in str(error.value)
    assert ("several_images" in str(error.value)) is (name == "cof")


def test_a_profile_may_say_that_its_policy_knows_several() -> None:
    asked = policy("cof", zoom(100, 100, 300, 300, image=1), "<answer>The second.</answer>", profile=SAVED)
    result = ChainOfFocus(asked).ask(PAIR, "Which?")
    assert [item.image_index for item in result.evidence] == [1]
    assert '"image"' in texts(prompts(asked)[0])[0]
    alone = policy("cof", "<answer>It.</answer>", profile=SAVED)
    ChainOfFocus(alone).ask(SMALL, "Which?")
    usual = policy("cof", "<answer>It.</answer>")
    ChainOfFocus(usual).ask(SMALL, "Which?")
    assert texts(prompts(alone)[0]) == texts(prompts(usual)[0]), "with one image nothing is said of it"


POINTED = '{"bbox_2d": [100, 100, 300, 300], "label": "sign"%s}'


@pytest.mark.parametrize(
    ("looks", "beside", "found"),
    [
        ((), ', "img_idx": 1', [(1, 1, [100, 66, 300, 201])]),
        ((), "", []),
        ((1,), "", [(1, 1, [100, 66, 300, 201])]),
        ((1,), ', "img_idx": 0', [(0, 0, [64, 48, 192, 144])]),
        ((0, 1), "", [(3, 1, None)]),
        ((), ', "img_idx": 7', []),
    ],
)
def test_a_box_in_an_answer_is_in_the_image_that_it_names(
    looks: tuple[int, ...], beside: str, found: list[tuple[int, int, list[int] | None]]
) -> None:
    """Without a name it is in the image of all looks; where these lie in several, only the last look is told."""
    turns = [call("image_zoom_in_tool", bbox_2d=[0, 0, 500, 500], label="x", img_idx=at) for at in looks]
    result = ChainOfFocus(policy("qwen3", *turns, f"There: {POINTED % beside}")).ask(PAIR, "Where?")
    assert [(item.view, item.image_index) for item in result.evidence] == [(view, at) for view, at, _ in found]
    for item, (_, _, box) in zip(result.evidence, found, strict=True):
        assert (item.source == "last_view") == (box is None)
        assert box is None or all(abs(a - b) <= 2 for a, b in zip(item.box, box, strict=True))


@pytest.mark.parametrize(
    ("pointed", "found"),
    [
        ('{"bbox_2d": [100, 100, 300, 300], "img_idx": "1"}', 1),
        ('{"bbox_2d": [100, 100, 300, 300], "img_idx": 1.0}', 1),
        ('{"bbox_2d": [100, 100, 300, 300], "view": 1}', 1),
        ('{"bbox_2d": [100, 100, 300, 300], img_idx: 1}', 1),
        ('{"img_idx": 1, "found": {"bbox_2d": [100, 100, 300, 300]}}', 1),
        ('{"img_idx": 1, "found": [{"label": "x"}, {"bbox_2d": [100, 100, 300, 300]}]}', 1),
        ('{"img_idx": 0, "found": {"bbox_2d": [100, 100, 300, 300], "img_idx": 1}}', 1),
        ('{"bbox_2d": [100, 100, 300, 300], "label": "a } b", "img_idx": 1}', 1),
        ('{"label": "a { b", "bbox_2d": [100, 100, 300, 300], "img_idx": 1}', 1),
        ('{"bbox_2d": [100, 100, 300, 300], "label": "' + "ab " * 140 + '", "img_idx": 1}', 1),
        ('{"bbox_2d": [100, 100, 300, 300], "label": "no \\"img_idx\\": 1"}', 0),
        ('{"bbox_2d": [100, 100, 300, 300]}, {"img_idx": 1}', 0),
        *[
            (f'{{"bbox_2d": [100, 100, 300, 300], "img_idx": {number}}}', None)
            for number in ("-1", "[1]", '"first"', "null", "1.5", '{"n": 1}', '1, "view": 0', "9" * 12)
        ],
        ('{"bbox_2d": [100, 100, 300, 300], "label": "12" wide", "img_idx": 1}', None),
    ],
)
def test_a_box_is_never_in_another_image_than_its_name_says(pointed: str, found: int | None) -> None:
    """A name that cannot be read makes the box none; only without one it is in the image of the looks."""
    first = call("image_zoom_in_tool", bbox_2d=[0, 0, 500, 500], label="x", img_idx=0)
    result = ChainOfFocus(policy("qwen3", first, f"There: {pointed}")).ask(PAIR, "Where?")
    (item,) = result.evidence
    assert (item.image_index if item.source == "policy" else None) == found


def test_with_one_image_a_name_counts_only_where_calls_have_one() -> None:
    said = 'It is there {"bbox_2d": [400, 300, 600, 400], "%s": 1}'
    saw = look(100, 70, 300, 200), zoom(100, 70, 300, 200)
    for asked in (
        policy("native", saw[0], said % "image"),
        policy("cof", saw[1], f"<answer>{said % 'image'}</answer>"),
    ):
        (item,) = ChainOfFocus(asked).ask(LARGE, "Where?").evidence
        assert (item.view, item.source) == (0, "policy")
    bare = default_profile("native").model_copy(update={"tools": ()})
    (item,) = ChainOfFocus(policy("native", said % "image", profile=bare)).ask(LARGE, "Where?").evidence
    assert (item.view, item.source) == (0, "policy")
    any_view = default_profile("native").model_copy(update={"any_view": True})
    shown = 'It is there {"bbox_2d": [40, 30, 60, 40], "view": 1}'
    (item,) = ChainOfFocus(policy("native", saw[0], shown, profile=any_view)).ask(LARGE, "Where?").evidence
    assert (item.view, item.source) == (1, "policy")


def test_an_answer_names_no_image_that_a_call_could_not() -> None:
    beyond = 'There {"bbox_2d": [40, 30, 60, 40], "image": %d}'
    for number, found in ((1, (1, "policy")), (2, (2, "last_view"))):
        result = ChainOfFocus(policy("native", look(100, 70, 300, 200, image=1), beyond % number)).ask(PAIR, "Where?")
        assert [(item.view, item.source) for item in result.evidence] == [found]


def test_regions_are_forgotten_and_overviews_never() -> None:
    turns = [call("image_zoom_in_tool", bbox_2d=[0, 0, 400, 400 + at], label="x", img_idx=at % 2) for at in range(4)]
    asked = policy("qwen3", *turns, "Both.")
    result = ChainOfFocus(asked, config=FocusConfig(max_conversation_tokens=1)).ask(PAIR, "Which?")
    assert result.usage.zooms == 4
    assert [images(prompt) for prompt in prompts(asked)] == [2, 3, 3, 3, 3]


def test_a_conversation_goes_on_with_the_same_images_and_begins_anew_with_others() -> None:
    answers = [f"Answer {number}." for number in range(9)]
    agent = ChainOfFocus(policy("qwen3", *answers), checkpointer=InMemorySaver())
    seen = [agent.ask(given, "Which?", thread_id="t") for given in (PAIR, None, PAIR, PAIR[::-1], SMALL, None)]
    assert [result.answer for result in seen] == [answers[at] for at in (0, 1, 2, 0, 0, 1)]
    assert [[record.width for record in result.images] for result in seen] == [
        [640, 1000], [640, 1000], [640, 1000], [1000, 640], [640], [640]
    ]  # fmt: skip
    assert seen[0].usage.visual_tokens == sum(view.tokens for view in seen[0].views)
    assert seen[1].usage.visual_tokens == 0
    assert [len(result.trajectory.turns) for result in seen] == [2, 4, 6, 2, 2, 4]


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    agent = ChainOfFocus(policy("qwen3", "Yes."))
    SMALL.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"image 2 of 3: .*b\.png"):
        agent.ask([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "a.png"], "Which?")
    with pytest.raises(ImageError, match=r"image 2 of 2: .*none\.png"):
        agent.graph.invoke({"image": [str(tmp_path / "a.png"), str(tmp_path / "none.png")], "question": "Which?"})
    with pytest.raises(QuestionError, match="list of images is empty"):
        agent.ask([], "Which?")
    with pytest.raises(QuestionError, match=f"at most {MAX_IMAGES}"):
        agent.ask([SMALL] * (MAX_IMAGES + 1), "Which?")
    with pytest.raises(QuestionError, match="max_visual_tokens"):
        agent.ask([SMALL] * (MAX_IMAGES + 1), "Which?")
    costly = FocusConfig(max_visual_tokens=700)
    with pytest.raises(QuestionError, match=r"2 images cost \d+ visual tokens and 700 are allowed"):
        agent.ask(PAIR, "Which?", config=costly)
    assert agent.ask(SMALL, "Which?", config=costly).answer == "Yes.", "one is shown, whatever it costs"
    twice = agent.ask((SMALL, SMALL), "Are they the same?")
    assert (twice.answer, [view.image_index for view in twice.views]) == ("Yes.", [0, 1])


async def test_a_batch_takes_several_and_loses_nothing(tmp_path: Path) -> None:
    agent = ChainOfFocus(policy("qwen3", *TURNS["qwen3"]))
    good, bad = await agent.abatch([(PAIR, "Which?"), ([SMALL, tmp_path / "none.png"], "Which?")])
    assert isinstance(good, FocusResult)
    assert good.evidence[0].image_index == 1
    assert isinstance(bad, FailedQuestion)
    told = bad.to_json()
    assert [one["source"] for one in told["images"]] == ["Image", str(tmp_path / "none.png")]
    assert told.keys() == good.to_json().keys()
    address = "http://ann:hunter2@127.0.0.1:1/a.png?sig=hunter2"
    none, *hidden = await agent.abatch([([], "Which?"), (address, "Which?"), ([address, SMALL], "Which?")])
    assert (none.to_json()["images"], none.to_json()["image"]["source"]) == ([], None)
    assert not any("hunter2" in repr(each) + repr(each.to_json()) for each in hidden)


def test_a_person_is_told_which_image_and_chooses_in_it() -> None:
    agent = ChainOfFocus(
        policy("native", *TURNS["native"]), config=FocusConfig(ask_before_zoom=True), checkpointer=InMemorySaver()
    )
    *_, request = agent.stream(PAIR, "Which?", thread_id="t")
    assert isinstance(request, Request)
    assert (request.image_index, request.image_count) == (1, 2)
    assert "in image 2 of 2 (PIL image (RGB, 1000x667))" in request.describe()
    result = agent.resume("t", {"decision": "edit", "box": [900, 600, 990, 660]})
    assert (result.views[2].image_index, result.views[2].box.contains(Box(900, 600, 990, 660))) == (1, True)


def test_other_pixels_are_given_the_right_original_and_overview() -> None:
    given: list[Any] = []

    def grey(source: Any, box: Any, shown: Any, first: Any) -> Image.Image:
        given.append((source.ref.size, first.index, first.image_index))
        return Image.new("RGB", shown, "grey")

    store = MemoryStore()
    ChainOfFocus(policy("native", *TURNS["native"]), store=store, region_pixels=grey).ask(PAIR, "Which?")
    assert given == [((1000, 667), 1, 1)]
