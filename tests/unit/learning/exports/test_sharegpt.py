"""The ShareGPT layout: ours, and that of the published data, into the same rows."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cof_agent.errors import ConfigError, TrajectoryError
from cof_agent.learning.exports.conversation import Conversation, Malformed
from cof_agent.learning.exports.exporting import export
from cof_agent.learning.exports.sharegpt import read_sharegpt
from cof_agent.learning.exports.trl import import_trl
from tests.support.conversations import answer, photo
from tests.support.learning.spoken import SCRIPTS, as_held, joined, run

pytestmark = pytest.mark.slow

ASK = "Think in the mind first, then call a tool or answer."
TURNS = [
    {"role": "system", "content": "You are a helpful assistant.\n\n<tools>\n{…}\n</tools>"},
    {"role": "user", "content": f"<image> Question: What is it?\n{ASK}"},
    {
        "role": "assistant",
        "content": '<think> Closer. </think>\n<tool_call>\n{"name": "image_zoom_in_tool"}\n</tool_call>',
    },
    {"role": "user", "content": f"<image>\n{ASK}"},
    {"role": "assistant", "content": "<think> A cup. </think>\n<answer> C </answer>"},
]
"""The shape of the published rows."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, in the folder `images` of the data's own folder."""
    for number in range(2):
        path = tmp_path / "data" / "images" / "0" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(100 + number, 80).save(path)
    return tmp_path / "data"


def row(**changed: Any) -> dict[str, Any]:
    return {"messages": TURNS, "images": ["0/0.jpg", "0/1.jpg"]} | changed


def said(**roles: str) -> list[dict[str, str]]:
    """The same turns with `from` and `value`."""
    return [{"from": roles.get(turn["role"], turn["role"]), "value": turn["content"]} for turn in TURNS]


LAYOUTS = {
    "as published": row(),
    "paths from the file": row(images=["images/0/0.jpg", "./images/0/1.jpg"]),
    "entries with a path": row(images=[{"image": "./images/0/0.jpg"}, {"path": "0/1.jpg"}]),
    "conversations": {"conversations": said(user="human", assistant="gpt"), "images": ["0/0.jpg", "0/1.jpg"]},
    "system apart": row(messages=TURNS[1:], system=TURNS[0]["content"], tools=""),
    "a column image": {"messages": TURNS, "image": ["0/0.jpg", "0/1.jpg"]},
}


@pytest.mark.parametrize("lines", [False, True], ids=["array", "lines"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_row_with_images_where_their_placeholders_were(
    layout: str, lines: bool, folder: Path
) -> None:
    text = json.dumps(LAYOUTS[layout]) + "\n" if lines else json.dumps([LAYOUTS[layout]], indent=2)
    (folder / "cof_sft_data.json").write_text(text)
    export(folder / "cof_sft_data.json", folder.parent / "out", origin="sharegpt")
    (back,) = import_trl(folder.parent / "out")
    shots = [(folder / "images" / "0" / f"{number}.jpg").read_bytes() for number in range(2)]
    assert as_held(back) == [
        ("system", [TURNS[0]["content"]]),
        ("user", [shots[0], f" Question: What is it?\n{ASK}"]),
        ("assistant", [TURNS[2]["content"]]),
        ("user", [shots[1], f"\n{ASK}"]),
        ("assistant", [TURNS[4]["content"]]),
    ]
    # Which dialect it is nobody says: others have the same tags.
    assert (back.facts.answer, back.facts.kind, back.facts.dialect) == ("C", "one", None)


@pytest.mark.parametrize(
    ("images", "kind"), [([1, 0], "direct"), ([2, 0], "direct"), ([2, 1], "one"), ([0, 2], "several")]
)
def test_the_images_behind_the_question_are_the_regions(images: list[int], kind: str, folder: Path) -> None:
    turns = [dict(turn) for turn in TURNS]
    for turn, shown in zip((turns[1], turns[3]), images, strict=True):
        turn["content"] = "<image>" * shown + ASK
    (folder / "data.json").write_text(json.dumps([row(messages=turns, images=["0/0.jpg"] * sum(images))]))
    (found,) = read_sharegpt(folder / "data.json")
    assert not isinstance(found, Malformed)
    assert found.facts.kind == kind


@pytest.mark.parametrize("column", ["image", "images"])
def test_one_image_may_be_named_without_a_list(column: str, folder: Path) -> None:
    (folder / "data.jsonl").write_text(json.dumps({"messages": [*TURNS[:2], TURNS[4]], column: "0/0.jpg"}))
    (found,) = read_sharegpt(folder / "data.jsonl")
    assert not isinstance(found, Malformed)
    assert [picture.origin for picture in found.images] == [folder / "images" / "0" / "0.jpg"]


def test_a_row_by_itself_may_take_many_lines(folder: Path) -> None:
    (folder / "data.json").write_text(json.dumps(row(), indent=2))
    (found,) = read_sharegpt(folder / "data.json")
    assert not isinstance(found, Malformed)


BROKEN: dict[str, Any] = {
    "2 placeholders <image> and 1 images": row(images=["0/0.jpg"]),
    "2 placeholders <image> and 0 images": row(images=None),
    "the image '0/7.jpg' is not a file in": row(images=["0/0.jpg", "0/7.jpg"]),
    "leads out of": row(images=["0/0.jpg", "../../secret.jpg"]),
    "leads out of .*images": row(images=["0/0.jpg", "/etc/passwd"]),
    "bad.jpg": row(images=["0/0.jpg", "bad.jpg"]),
    "named by its path, not by 7": row(images=["0/0.jpg", 7]),
    "images are a list": row(images={"image": "0/0.jpg"}),
    "its last turn has no <answer>": row(messages=[*TURNS[:4], {"role": "assistant", "content": "C, I think."}]),
    "neither a list of messages": {"images": []},
    "a row is a JSON object, not str": "row",
    "tools of its own": row(tools="[{}]"),
    "a turn of 'observation'": row(messages=[*TURNS[:3], {"role": "observation", "content": "<image>"}, TURNS[4]]),
    "a turn of user has no text": row(messages=[*TURNS[:3], {"role": "user", "content": None}, TURNS[4]]),
    "a turn is a JSON object": row(messages=["Hello"]),
    "the last turn is not the assistant's": row(messages=TURNS[:4]),
    "turn 1 is of assistant": row(messages=[TURNS[2], *TURNS[1:]], images=["0/0.jpg", "0/1.jpg"]),
    "an image stands in a turn of assistant": row(
        messages=[*TURNS[:4], {"role": "assistant", "content": "<image>"}], images=["0/0.jpg"] * 3
    ),
    "a conversation needs": row(messages=TURNS[:1], images=[]),
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_malformed_row_is_named_with_file_and_line_and_does_not_stop_the_rest(why: str, folder: Path) -> None:
    (folder / "images" / "bad.jpg").write_bytes(b"no picture")
    path = folder / "data.json"
    path.write_text("\n[" + ",\n\n".join(json.dumps(one) for one in (row(), BROKEN[why], row())) + "]\n")
    done = export(path, folder.parent / "out", origin="sharegpt")
    assert done.rows == 2
    (left,) = done.left_out
    assert left.where == f"{path} row 2 (line 4)"
    assert re.search(why, left.why)


def test_a_line_that_is_not_json_is_named_too(folder: Path) -> None:
    path = folder / "data.jsonl"
    path.write_text(f"{json.dumps(row())}\n{{broken\n\n{json.dumps(row())}\n")
    found = list(read_sharegpt(path))
    assert [one.where for one in found if isinstance(one, Malformed)] == [f"{path} row 2 (line 2)"]
    assert len(found) == 3


@pytest.mark.parametrize("end", ["", ",", ', {"messages":', " {}", ",]", "] 7", "\n ]\n"], ids=repr)
def test_an_array_that_breaks_off_gives_no_file_rather_than_half_of_one(end: str, folder: Path) -> None:
    path = folder / "data.json"
    path.write_text(f"[{json.dumps(row())}{end}")
    if end.strip() == "]":
        assert export(path, folder.parent / "out", origin="sharegpt").rows == 1
        return
    with pytest.raises(TrajectoryError, match=r"data.json line 1: the array .* get it again"):
        export(path, folder.parent / "out", origin="sharegpt")
    assert not (folder.parent / "out").exists()


@pytest.mark.parametrize("text", ["[]", " [ ] \n", ""])
def test_a_file_without_rows_has_nothing_to_export(text: str, folder: Path) -> None:
    (folder / "data.json").write_text(text)
    with pytest.raises(TrajectoryError, match="has nothing to export"):
        export(folder / "data.json", folder.parent / "out", origin="sharegpt")


def test_images_that_a_link_takes_from_elsewhere_are_refused_and_may_be_named(folder: Path) -> None:
    (folder / "images").rename(folder.parent / "elsewhere")
    (folder / "images").symlink_to(folder.parent / "elsewhere")
    (folder / "data.json").write_text(json.dumps([row()]))
    (left,) = read_sharegpt(folder / "data.json")
    assert isinstance(left, Malformed)
    assert re.search(f"leads out of {folder}: .*images= names that folder", left.why)
    (found,) = read_sharegpt(folder / "data.json", folder / "images")
    assert isinstance(found, Conversation)


@pytest.mark.parametrize("shared", [False, True], ids=["of the repository", "shared"])
def test_images_in_the_hubs_cache_are_taken(shared: bool, folder: Path) -> None:
    """A snapshot holds links to content beside it, which may in turn link to that of several repositories."""
    cache = folder.parent / "hub"
    snapshot, blobs = cache / "datasets--a--b" / "snapshots" / "c0ffee", cache / "datasets--a--b" / "blobs"
    blobs.mkdir(parents=True)
    (snapshot / "images" / "0").mkdir(parents=True)
    for number in (0, 1):
        digest = f"{number}" * 64
        content = cache / "blobs" / digest[:2] / digest if shared else blobs / digest
        content.parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / "0" / f"{number}.jpg").rename(content)
        if shared:
            (cache / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
            (blobs / digest).symlink_to(content)
        (snapshot / "images" / "0" / f"{number}.jpg").symlink_to(Path("../../../../blobs") / digest)
    (snapshot / "data.json").write_text(json.dumps([row()]))
    (found,) = read_sharegpt(snapshot / "data.json")
    assert isinstance(found, Conversation)


@pytest.mark.parametrize(("stored", "named"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_may_be_written_in_the_other_unicode_form_and_as_on_windows(
    stored: str, named: str, folder: Path
) -> None:
    target = folder / "images" / unicodedata.normalize(stored, "Größe") / unicodedata.normalize(stored, "für.jpg")
    target.parent.mkdir()
    (folder / "images" / "0" / "0.jpg").rename(target)
    name = unicodedata.normalize(named, "images\\Größe\\für.jpg")
    (folder / "data.json").write_text(json.dumps([row(images=[name, "images\\0\\1.jpg"])], ensure_ascii=False))
    (found,) = read_sharegpt(folder / "data.json")
    assert isinstance(found, Conversation)
    assert found.images[0].origin == target


def test_the_rows_that_dataset_info_names_lie_beside_it(folder: Path) -> None:
    (folder.parent / "secret.json").write_text(json.dumps([row()]))
    (folder / "dataset_info.json").write_text('{"one": {"file_name": "../secret.json"}}')
    with pytest.raises(ConfigError, match="leads out of"):
        list(read_sharegpt(folder))


def test_images_may_lie_in_a_folder_of_their_own(folder: Path) -> None:
    (folder / "images").rename(folder.parent / "pictures")
    path = folder / "data.json"
    path.write_text(json.dumps([row()]))
    with pytest.raises(TrajectoryError, match="images="):
        export(path, folder.parent / "out", origin="sharegpt")
    assert export(path, folder.parent / "out", origin="sharegpt", images=folder.parent / "pictures").rows == 1


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.json cannot be read"):
        list(read_sharegpt(folder / "none.json"))
    (folder / "latin.json").write_bytes(b'["\xe9"]')
    with pytest.raises(ConfigError, match=r"latin.json is not text in UTF-8"):
        list(read_sharegpt(folder / "latin.json"))
    (folder / "dataset_info.json").write_text('{"one": {"file_name": "1.json"}, "two": {"file_name": "2.json"}}')
    with pytest.raises(ConfigError, match=r"no dataset_info.json that names one file of rows .* name the file itself"):
        list(read_sharegpt(folder))


@pytest.mark.parametrize("name", SCRIPTS)
def test_trajectories_go_there_and_come_back(name: str, tmp_path: Path) -> None:
    profile, turns = SCRIPTS[name]
    made = run(tmp_path / "runs", turns, profile)
    export(tmp_path / "runs", tmp_path / "shared", to="sharegpt", profile=profile)
    export(tmp_path / "runs", tmp_path / "rows", profile=profile)
    export(tmp_path / "shared", tmp_path / "out", origin="sharegpt")  # the directory, as dataset_info.json tells of it
    (back,), (direct,) = import_trl(tmp_path / "out"), import_trl(tmp_path / "rows")
    assert as_held(back) == joined(made.spoken)
    assert back.facts == direct.facts


def test_what_is_written_is_what_its_entry_in_dataset_info_says(tmp_path: Path) -> None:
    profile, turns = SCRIPTS["cof"]
    run(tmp_path / "runs", turns, profile)
    run(tmp_path / "runs", [answer("y")], image=Image.new("RGB", (64, 64)))
    export(tmp_path / "runs", tmp_path / "rows")
    export(tmp_path / "rows", tmp_path / "out", origin="trl", to="sharegpt")
    known = json.loads((tmp_path / "out" / "dataset_info.json").read_text())["cof"]
    rows = json.loads((tmp_path / "out" / known["file_name"]).read_text())
    assert len(rows) == 2
    for one in rows:
        turns_ = one[known["columns"]["messages"]]
        images = one[known["columns"]["images"]]
        assert {turn[known["tags"]["role_tag"]] for turn in turns_} == {"system", "user", "assistant"}
        assert sum(turn[known["tags"]["content_tag"]].count("<image>") for turn in turns_) == len(images)
        assert all((tmp_path / "out" / image).is_file() for image in images)


def test_a_text_that_says_image_is_left_out_since_it_would_be_taken_for_one(tmp_path: Path) -> None:
    run(tmp_path / "runs", [answer("the tag is <image>")])
    run(tmp_path / "runs", [answer("x")])
    done = export(tmp_path / "runs", tmp_path / "out", to="sharegpt")
    assert done.rows == 1
    assert "a text says <image>" in done.left_out[0].why
    assert export(tmp_path / "runs", tmp_path / "rows").rows == 2
