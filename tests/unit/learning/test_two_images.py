"""A question about two images, from a file of one's own to training files, the environment and back."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from PIL import Image

from cof_agent import ConfigError, FocusConfig, MemoryStore, Policy, Trajectory, TrajectoryError, read_trajectories
from cof_agent.agent.trajectory import messages_of
from cof_agent.agent.trajectory_file import has_several_images, without_metadata
from cof_agent.dialects import default_profile
from cof_agent.dialects.profile import Profile
from cof_agent.evaluation import evaluate, read_run
from cof_agent.evaluation.benchmarks import JsonLines
from cof_agent.evaluation.benchmarks.checked import checked
from cof_agent.evaluation.benchmarks.rows import RowError, image_source
from cof_agent.evaluation.question import BenchmarkQuestion, MalformedRow
from cof_agent.evaluation.report.csv_rows import as_csv
from cof_agent.images.store import DirectoryStore
from cof_agent.learning.environment import ZoomEnvironment, answered, raise_recorded
from cof_agent.learning.exports import export, import_prompts, import_trl, read_sharegpt
from cof_agent.learning.exports.conversation import Conversation
from cof_agent.policies.script import ScriptedModel
from tests.support.integrations.hosts import IN_SECOND, SECOND, other_photo, photo
from training.verl.question import asked

pytestmark = pytest.mark.slow

THOUGHT = "<think>The second one.</think>"
TURNS = [THOUGHT + SECOND, "<think>Clear.</think><answer>nine</answer>"]
ASKED = "Until when is it open?"
ROWS: list[dict[str, Any]] = [
    {"image": ["photo.png", "other.png"], "boxes": [[0.12, 0.12, 0.35, 0.35]], "box_images": [1]},
    {"images": ["photo.png", "other.png"], "boxes": [[0.12, 0.12, 0.35, 0.35]]},
    {"image": "other.png", "question": "And this one?"},
]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an evaluation, beside its questions: two about two images, one about one."""
    folder = tmp_path_factory.mktemp("evaluated")
    photo().save(folder / "photo.png")
    other_photo().save(folder / "other.png")
    rows = [{"question": ASKED, "answer": "nine", "id": str(number), **row} for number, row in enumerate(ROWS)]
    (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    model = ScriptedModel(turns=TURNS)
    evaluate(
        f"jsonl:train:{folder / 'mine.jsonl'}",
        Policy(model, default_profile("qwen3"), "script"),
        config=FocusConfig(max_visual_tokens=32_768),  # room for all zooms would be more than environments keep
        resolutions=["native"],
        trajectories=True,
        out=folder / "run",
        report=False,
    )
    return folder / "run"


@pytest.fixture(scope="module")
def run(evaluated: Path) -> Trajectory:
    return next(run for run in read_trajectories(evaluated / "trajectories") if run.other_images)


def test_an_evaluation_tells_in_which_image_the_evidence_is(evaluated: Path) -> None:
    rows = sorted(read_run(evaluated).rows, key=lambda row: row.number)
    assert [row.correct for row in rows] == [True] * 3
    assert [row.sources for row in rows] == [((280, 196), (320, 240))] * 2 + [()]
    assert [(row.evidence, row.evidence_images, row.zoom_images) for row in rows[:2]] == [
        ((tuple(IN_SECOND),), (1,), (1,))
    ] * 2
    assert [row.contains_truth for row in rows] == [True, False, None], "the same box in the first image is elsewhere"
    kept = [json.loads(line) for line in (evaluated / "results.jsonl").read_text().splitlines()]
    assert all("sources" not in row and "zoom_images" not in row for row in kept if row["question"] == "2")
    cells = {row["question"]: row["evidence"] for row in csv.DictReader(io.StringIO(as_csv(rows)))}
    assert cells["0"] == "image 1: " + " ".join(map(str, IN_SECOND))


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"image": []}, "`image` is an empty list"),
        ({"image": ["photo.png", 7.5]}, "its image '7.5'"),
        ({"image": "photo.png", "images": ["other.png"]}, "it has both `image` and `images`"),
        ({"image": ["photo.png", "../other.png"]}, "other.png"),
        ({"images": {"a": 1}}, "`images` is {'a': 1}, not a text"),
        ({}, "`image` is missing"),
        ({"image": "photo.png", "boxes": [[0, 0, 1, 1]], "box_images": [1]}, "images are numbered 0 to 0"),
        ({"image": "photo.png", "boxes": [[0, 0, 1, 1]], "box_images": [0, 0]}, "2 numbers, and there are 1 `boxes`"),
        ({"image": "photo.png", "box_images": "0"}, "`box_images` is '0': it needs a list of numbers"),
    ],
)
def test_rows_that_cannot_be_asked_say_why(row: dict[str, Any], why: str, evaluated: Path, tmp_path: Path) -> None:
    for name in ("photo.png", "other.png"):
        (tmp_path / name).write_bytes((evaluated.parent / name).read_bytes())
    (tmp_path / "bad.jsonl").write_text(json.dumps({"question": ASKED, "answer": "nine", **row}))
    (item,) = checked(JsonLines.open(str(tmp_path / "bad.jsonl")))
    assert isinstance(item, MalformedRow)
    assert why in item.why


def test_a_page_of_a_document_keeps_its_number(tmp_path: Path) -> None:
    (tmp_path / "plan.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "odd.png#page=2").write_bytes(b"a file of exactly that name")
    for name, wanted in (("plan.pdf#page=3", "plan.pdf#page=3"), ("odd.png#page=2", "odd.png#page=2")):
        assert image_source(name, tmp_path) == str(tmp_path / wanted)
    with pytest.raises(RowError, match=r"its image 'gone\.pdf'"):
        image_source("gone.pdf#page=3", tmp_path)


def test_a_list_of_one_image_is_that_image() -> None:
    assert BenchmarkQuestion("q", ["a.png"], "?", "x").images == BenchmarkQuestion("q", "a.png", "?", "x").images


def test_a_trajectory_of_two_images_comes_back_as_it_was(evaluated: Path, run: Trajectory) -> None:
    again = Trajectory.from_json(json.loads(json.dumps(run.to_json())))
    assert again == run
    assert (again.id, [image.width for image in run.images]) == (run.id, [280, 320])
    assert [(view.image_index, view.kind) for view in run.views] == [(0, "overview"), (1, "overview"), (1, "zoom")]
    assert [turn.views for turn in run.turns] == [(0, 1), (), (2,), ()]
    store = DirectoryStore(evaluated / "trajectories" / "images")
    assert all(ref in store for ref in run.image_refs)
    message = messages_of(run, default_profile("qwen3").prompts)[0]
    assert [block["type"] for block in message.content] == ["image", "image", "text"]
    bare, images = without_metadata(run, store)
    assert all(ref in images for ref in bare.image_refs)
    assert bare.images == run.images, "they have had none since they were kept"
    with pytest.raises(TrajectoryError, match=r"cannot take the metadata out of "):
        without_metadata(run, MemoryStore())


@pytest.mark.parametrize("place", ["views", "evidence"])
@pytest.mark.parametrize("number", [2, -1])
def test_a_trajectory_that_names_an_image_that_it_has_not_is_none(run: Trajectory, place: str, number: int) -> None:
    value = run.to_json()
    value[place][-1]["image_index"] = number
    with pytest.raises(TrajectoryError, match=f"something of it is in image {number}, and its images are 2"):
        Trajectory.from_json(value)


def test_the_line_of_one_image_says_nothing_of_others(evaluated: Path) -> None:
    lines = (evaluated / "trajectories" / "trajectories.jsonl").read_text().splitlines()
    assert sorted("other_images" in json.loads(line) for line in lines) == [False, True, True]
    assert has_several_images(evaluated / "trajectories")


def shown(conversation: Conversation) -> list[int]:
    return [len(message.images) for message in conversation.messages]


@pytest.mark.parametrize("form", ["jsonl", "parquet", "sharegpt"])
def test_conversations_have_a_placeholder_for_each_image_in_order(form: str, evaluated: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if form == "sharegpt":
        export(evaluated, out, to="sharegpt")
        found: list[Any] = list(read_sharegpt(out))
        users = [row["messages"][1]["content"] for row in json.loads((out / "sharegpt.json").read_text())]
        assert sorted(users) == sorted([f"<image><image>{ASKED}"] * 2 + ["<image>And this one?"])
    else:
        export(evaluated, out, form=form)
        found = list(import_trl(out))
    first = next(item for item in found if item.facts.question == ASKED)
    assert shown(first) == [0, 2, 0, 1, 0]
    sizes = []
    for picture in first.images:
        (tmp_path / "picture").write_bytes(picture.read())
        with Image.open(tmp_path / "picture") as image:
            sizes.append(image.size)
    fit = default_profile("qwen3").overview.fit
    assert sizes[:2] == [fit((280, 196)), fit((320, 240))]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_prompts_hold_all_originals(form: str, evaluated: Path, tmp_path: Path) -> None:
    export(evaluated, tmp_path / "out", to="trl-grpo", form=form)
    export(tmp_path / "out", tmp_path / "again", origin="trl", to="trl-grpo")
    wanted = [(280, 196), (320, 240)]
    for place in ("out", "again"):
        found = {prompt.facts.question: prompt for prompt in import_prompts(tmp_path / place)}
        assert [len(found[text].originals) for text in (ASKED, "And this one?")] == [2, 1]
        for original, size in zip(found[ASKED].originals, wanted, strict=True):
            (tmp_path / "picture").write_bytes(original.read())
            with Image.open(tmp_path / "picture") as image:
                assert image.size == size


def test_rows_for_verl_name_all_originals(evaluated: Path, tmp_path: Path) -> None:
    export(evaluated, tmp_path / "out", to="verl")
    rows = pyarrow.parquet.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    images = {row["extra_info"]["question"]: asked(row, {}).image for row in rows}
    assert len(images[ASKED]) == 2
    assert all(Path(path).is_file() for path in images[ASKED])
    assert isinstance(images["And this one?"], str)


def test_files_of_one_image_have_no_column_of_others(evaluated: Path, tmp_path: Path) -> None:
    lines = (evaluated / "trajectories" / "trajectories.jsonl").read_text().splitlines()
    kept = evaluated.parent / "one"
    (kept / "trajectories").mkdir(parents=True)
    (kept / "trajectories" / "trajectories.jsonl").write_text(
        "\n".join(line for line in lines if "other_images" not in json.loads(line))
    )
    for name in ("run.json", "results.jsonl"):
        (kept / name).write_bytes((evaluated / name).read_bytes())
    (kept / "trajectories" / "images").symlink_to(evaluated / "trajectories" / "images")
    with pytest.raises(TrajectoryError, match="is not among the images beside it"):  # links lead elsewhere
        export(kept, tmp_path / "none", to="verl")
    (kept / "trajectories" / "images").unlink()
    (evaluated / "trajectories" / "images").rename(kept / "trajectories" / "images")
    try:
        export(kept, tmp_path / "verl", to="verl")
        export(kept, tmp_path / "grpo", to="trl-grpo")
    finally:
        (kept / "trajectories" / "images").rename(evaluated / "trajectories" / "images")
    (row,) = pyarrow.parquet.read_table(tmp_path / "verl" / "train.parquet").to_pylist()
    assert "other_originals" not in row["extra_info"]
    assert "other_originals" not in (tmp_path / "grpo" / "metadata.jsonl").read_text()


# The environment


@pytest.fixture
def row(evaluated: Path, tmp_path: Path) -> dict[str, Any]:
    export(evaluated, tmp_path / "out", to="trl-grpo")
    prompt = next(prompt for prompt in import_prompts(tmp_path / "out") if prompt.other_originals)
    originals = [{"bytes": picture.read(), "path": None} for picture in prompt.originals]
    return {**prompt.row, "original": originals[0], "other_originals": originals[1:]}


def test_an_environment_steps_into_the_second_image(row: dict[str, Any], run: Trajectory, evaluated: Path) -> None:
    environment = ZoomEnvironment()
    environment.reset(**row)
    call = {"bbox_2d": [100, 100, 400, 400], "label": "sign"}
    blocks = environment.image_zoom_in_tool(**call, img_idx=1)  # type: ignore[call-arg]
    region = next(block["image"] for block in blocks if block["type"] == "image")
    store = DirectoryStore(evaluated / "trajectories" / "images")
    (evaluated.parent / "region").write_bytes(store.get(run.views[2].image))
    with Image.open(evaluated.parent / "region") as seen:
        assert region.tobytes() == seen.convert("RGB").tobytes(), "what the graph has shown"
    refused = environment.image_zoom_in_tool(**call, img_idx=7)  # type: ignore[call-arg]
    raise_recorded([environment])
    assert "there is no img_idx 7: the images are img_idx 0 to img_idx 2" in "".join(
        block.get("text", "") for block in refused
    )
    episode = environment.episode
    assert (episode.zooms, episode.images, episode.refused) == (1, 2, 1)
    assert episode.views[:3] == run.views
    assert answered([{"role": "assistant", "content": TURNS[1]}], episode) == "nine"


@pytest.mark.parametrize(
    ("profile", "named"), [(Profile(several_images=True), "image"), (Profile(any_view=True), "view")], ids=str
)
def test_the_dialect_cof_names_the_image_where_its_profile_says_so(
    profile: Profile, named: str, row: dict[str, Any]
) -> None:
    environment = ZoomEnvironment()
    environment.reset(**row | {"profile": profile})
    environment.image_zoom_in_tool(bbox_2d=[32, 24, 128, 96], **{named: 1})
    refused = environment.image_zoom_in_tool(bbox_2d=[32, 24, 128, 96], **{named: 9})
    raise_recorded([environment])
    assert [view.image_index for view in environment.episode.views] == [0, 1, 1]
    assert f"there is no {named} 9" in "".join(block.get("text", "") for block in refused)


def test_what_no_environment_can_play_is_refused(row: dict[str, Any]) -> None:
    environment, profile = ZoomEnvironment(), json.loads(row["profile"])
    for changed, why in (
        ({"dialect": "cof", "any_view": False}, "the dialect cof cannot say which image"),
        ({"dialect": "deepeyes"}, "environments speak `cof` and `qwen3`; collect with"),
        ({"prompts": {**profile["prompts"], "reminder": "Think."}}, "has a reminder, which environments know in"),
    ):
        with pytest.raises(ConfigError, match=why):
            environment.reset(**row | {"profile": json.dumps(profile | changed)})
