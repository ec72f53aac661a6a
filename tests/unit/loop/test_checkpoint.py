from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from PIL import Image

from cof_agent import ChainOfFocus, DirectoryStore, ImageError, Trajectory, TrajectoryError, build_graph
from cof_agent.loop.state import Status
from tests.data.make_schema1 import TURNS as OLD_TURNS
from tests.support.conversations import BOTH, answer, crop, photo, scripted, zoom

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[SqliteSaver]:
    with SqliteSaver.from_conn_string(str(tmp_path / "runs.sqlite")) as made:
        yield made


def test_strict_msgpack_is_on() -> None:
    assert os.environ["LANGGRAPH_STRICT_MSGPACK"] == "true"


@pytest.mark.slow
def test_five_zooms_on_twelve_megapixels_store_under_100_kb(tmp_path: Path, saver: SqliteSaver) -> None:
    noise = Image.effect_noise((500, 375), 90).resize((4000, 3000))
    Image.merge("RGB", (noise, photo(4000, 3000).getchannel(0), noise)).save(tmp_path / "photo.jpg", quality=90)
    boxes = [(100 * n, 80 * n, 100 * n + 90, 80 * n + 60) for n in range(1, 6)]
    policy = scripted(*(zoom(*box, label="the small sign") for box in boxes), answer("42"))
    agent = ChainOfFocus(policy, store=DirectoryStore(tmp_path / "images"), checkpointer=saver)
    result = agent.ask(tmp_path / "photo.jpg", "What is written on the sign?", thread_id="1")
    assert (result.status, result.usage.zooms, len(result.views)) == (Status.ANSWERED, 5, 6)
    tables = {"checkpoints": ("checkpoint", "metadata"), "writes": ("value",)}
    blobs = 0
    for table, columns in tables.items():
        for column in columns:
            (size,) = saver.conn.execute(f"SELECT SUM(LENGTH(CAST({column} AS BLOB))) FROM {table}").fetchone()
            blobs += size
    assert blobs < 100_000
    assert len(list((tmp_path / "images").iterdir())) == 7


def test_stopped_between_two_calls_of_a_turn_it_runs_the_second_alone(tmp_path: Path, saver: SqliteSaver) -> None:
    turns = (zoom(10, 10, 60, 60) + crop(100, 100, 160, 160), answer("42"))
    store, thread = DirectoryStore(tmp_path / "images"), {"configurable": {"thread_id": "1"}}
    photo().save(tmp_path / "photo.png")
    given = {"image": str(tmp_path / "photo.png"), "question": "What is it?"}
    graph = build_graph(scripted(*turns, profile=BOTH), store=store, checkpointer=saver)
    for update in graph.stream(given, thread, stream_mode="updates", durability="sync"):
        if "zoom" in update:
            break
    with pytest.raises(TrajectoryError, match="has not ended"):
        Trajectory.from_state(graph.get_state(thread).values)
    again = build_graph(scripted(*turns, profile=BOTH), store=store, checkpointer=saver)
    events = list(again.stream(None, thread, stream_mode="custom"))
    assert [event["view"]["index"] for event in events] == [2]
    assert Trajectory.from_state(again.get_state(thread).values).usage.zooms == 2


def test_pixels_leave_graph_state_with_the_first_step(saver: SqliteSaver, tmp_path: Path) -> None:
    import base64

    photo().save(tmp_path / "photo.png")
    data = base64.b64encode((tmp_path / "photo.png").read_bytes()).decode()
    graph = build_graph(scripted(zoom(10, 10, 60, 60), answer("42")), checkpointer=saver)
    thread: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"image": f"data:image/png;base64,{data}", "question": "What is it?"}, thread)
    history = list(graph.get_state_history(thread))
    assert [state.next for state in history][-2:] == [("observe",), ("__start__",)]
    for state in history[:-2]:
        assert state.values["image"] is None
        assert data[100:200] not in repr(state.values)
        assert state.values["original"]["source"].startswith("data URL")
        assert len(state.values["original"]["source"]) < 100


@pytest.fixture
def old(tmp_path: Path) -> Iterator[ChainOfFocus]:
    shutil.copy(DATA / "schema1.sqlite", tmp_path)
    shutil.copytree(DATA / "schema1_images", tmp_path / "images")
    with SqliteSaver.from_conn_string(str(tmp_path / "schema1.sqlite")) as saver:
        policy = scripted(*OLD_TURNS, profile=BOTH)
        yield ChainOfFocus(policy, store=DirectoryStore(tmp_path / "images"), checkpointer=saver)


def test_a_run_of_schema_1_is_exported(old: ChainOfFocus) -> None:
    state = old.graph.get_state({"configurable": {"thread_id": "ended"}}).values
    run = Trajectory.from_state(state)
    assert run.question == "Who wrote it?"
    assert (run.status, run.message, run.usage.refused) == (Status.DECLINED, "it is too dark", 1)
    assert [view.kind for view in run.views] == ["overview", "zoom", "crop"]
    assert run.views[1].label == "sign"
    assert [turn.text for turn in run.turns if turn.role == "policy"] == list(OLD_TURNS)
    assert all(ref in old.store for ref in run.image_refs)


def test_a_run_of_schema_1_is_resumed(old: ChainOfFocus) -> None:
    thread: Any = {"configurable": {"thread_id": "half"}}
    assert old.graph.get_state(thread).next == ("zoom",)
    events = list(old.graph.stream(None, thread, stream_mode="custom"))
    assert [(event["view"]["index"], event["view"]["kind"]) for event in events] == [(2, "crop")]
    run = Trajectory.from_state(old.graph.get_state(thread).values)
    assert (run.answer, run.status, run.usage.zooms) == ("42", Status.ANSWERED, 2)


def test_a_conversation_of_schema_1_goes_on(old: ChainOfFocus) -> None:
    result = old.ask(None, "And now?", thread_id="ended")
    assert result.status is Status.FAILED, "the script has no more turns"
    assert len(result.views) == 3
    again = ChainOfFocus(scripted(*OLD_TURNS, answer("7"), profile=BOTH), checkpointer=InMemorySaver())
    assert again.ask(photo(), "What?", thread_id="x").answer == "42"


ADDRESS = "http://ann:hunter2@127.0.0.1/photo.png?sig=hunter2"
SECRETS: dict[str, Any] = {
    "the image itself": "data:image/png;base64,hunter2",
    "a mistyped address": "https:/ann:hunter2@host/photo.png?sig=hunter2",
    "a path with a query": "host/photo.png?sig=hunter2",
    "an address that does not answer": "https://ann:hunter2@127.0.0.1:1/photo.png?sig=hunter2",
    "a mapping that is no reference": {"url": ADDRESS},
    "the second of a list": [{}, {"image_url": {"url": ADDRESS}}],
    "a mapping with a secret where a hash belongs": {
        "schema": 1,
        "sha256": ADDRESS,
        "mime_type": ADDRESS,
        "width": 9,
        "height": 9,
    },
    "pixels": b"hunter2",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_what_cannot_be_opened_leaves_no_secret_in_a_checkpoint(kind: str, saver: SqliteSaver) -> None:
    graph = build_graph(scripted(answer("42")), checkpointer=saver)
    with pytest.raises(ImageError) as caught:
        graph.invoke({"image": SECRETS[kind], "question": "?"}, {"configurable": {"thread_id": "1"}})
    assert "hunter2" not in str(caught.value) + "".join(saver.conn.iterdump())


async def test_an_image_given_in_a_url_or_with_a_secret_source_is_kept_as_a_reference(tmp_path: Path) -> None:
    photo().save(tmp_path / "photo.png")
    content = base64.b64encode((tmp_path / "photo.png").read_bytes()).decode()
    saver, store = InMemorySaver(), DirectoryStore(tmp_path / "images")
    graph = build_graph(scripted(answer("42"), answer("43")), store=store, checkpointer=saver).with_config(tags=["t"])
    thread = {"configurable": {"thread_id": "1"}}
    given = {"image": f"data:image/png;base64,{content}", "question": "What is it?"}
    before = graph.invoke(given, thread)
    source = f"data URL (image/png, {len(given['image']):,} characters)"
    assert (before["answer"], before["original"]["source"]) == ("42", source)
    reference = {**before["original"], "source": "https://ann:hunter2@host/photo.png?sig=hunter2", "url": ADDRESS}
    after = [part async for part in graph.astream({"image": reference, "question": "And now?"}, thread)]
    assert "answer" in after[-1]
    kept = repr([(kept.checkpoint, kept.pending_writes) for kept in saver.list(None)])
    assert (content[:40] in kept, "hunter2" in kept, "https://host/photo.png?…" in kept) == (False, False, True)
