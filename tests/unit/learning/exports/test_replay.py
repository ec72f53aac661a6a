"""Rows say exactly what the loop sent, whatever the dialect, and come back as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from cof_agent import ChainOfFocus, FocusConfig
from cof_agent.dialects import DIALECTS
from cof_agent.dialects.profile import Profile, Prompts
from cof_agent.errors import ConfigError, TrajectoryError
from cof_agent.learning.exports.exporting import export
from cof_agent.learning.exports.trl import import_trl
from tests.support.conversations import answer, photo, watched, zoom
from tests.support.learning.spoken import NEITHER, SCRIPTS, as_held, as_spoken, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_row_is_what_the_model_was_sent_in_its_last_call_and_its_last_turn(
    name: str, form: str, tmp_path: Path
) -> None:
    profile, turns = SCRIPTS[name]
    made = run(tmp_path / "runs", turns, profile)
    assert (made.result.answer, made.result.usage.refused > 0) == ("x", name != "mini-o3")
    export(tmp_path / "runs", tmp_path / "out", form=form, profile=profile)
    (back,) = import_trl(tmp_path / "out")
    assert as_held(back) == made.spoken
    assert list(back.turns) == turns
    assert (back.facts.answer, back.facts.question) == ("x", "What is it? <b>&")


def test_every_dialect_of_text_is_among_them() -> None:
    assert {profile.dialect for profile, _ in SCRIPTS.values()} == {*DIALECTS} - {"native"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_closing_turn_is_there_with_what_asked_for_it(name: str, tmp_path: Path) -> None:
    profile, turns = SCRIPTS[name]
    config = FocusConfig(max_zooms=turns[0].count("<tool_call>") or 1)
    made = run(tmp_path / "runs", [turns[0], turns[0], turns[-1]], profile, config=config)
    assert made.result.stop_reason == "zoom_limit"
    export(tmp_path / "runs", tmp_path / "out", profile=profile)
    (back,) = import_trl(tmp_path / "out")
    assert as_held(back) == made.spoken
    assert back.messages[-2].text.endswith(profile.prompts.closing)


def test_without_zooms_no_tool_is_told_of(tmp_path: Path) -> None:
    made = run(tmp_path / "runs", [answer("x")], config=FocusConfig(max_zooms=0))
    export(tmp_path / "runs", tmp_path / "out")
    (back,) = import_trl(tmp_path / "out")
    assert as_held(back) == made.spoken
    assert back.messages[0].text == Prompts().direct
    assert back.facts.kind == "direct"


class Told(BaseModel):
    colour: str


@pytest.mark.parametrize("dialect", ["cof", "cof-v1"])
def test_a_typed_question_is_there_with_its_schema_and_what_did_not_fit(dialect: str, tmp_path: Path) -> None:
    turns = [answer("red"), answer('{"colour": "red"}')]
    profile = SCRIPTS[dialect][0]
    made = run(tmp_path / "runs", turns, profile, schema=Told)
    export(tmp_path / "runs", tmp_path / "out", profile=profile)
    (back,) = import_trl(tmp_path / "out")
    assert as_held(back) == made.spoken


@pytest.mark.parametrize("dialect", ["cof", "cof-v1", "qwen3"])
def test_questions_of_one_conversation_are_told_from_what_the_loop_itself_says(dialect: str, tmp_path: Path) -> None:
    profile = SCRIPTS[dialect][0]
    turns = [NEITHER, answer("x"), SCRIPTS[dialect][1][0], answer("y")]
    policy, prompts = watched(*turns, profile=profile)
    agent = ChainOfFocus(policy, checkpointer=InMemorySaver(), save=tmp_path / "runs")
    first = agent.ask(photo(), "What is it?")
    agent.ask(None, "And what is that?", thread_id=first.thread_id)
    export(tmp_path / "runs", tmp_path / "out", profile=profile)
    back = list(import_trl(tmp_path / "out"))
    assert as_held(back[-1]) == as_spoken([*prompts[-1], AIMessage(turns[-1])])
    assert [row.facts.kind for row in back] == ["direct", "one"]


def test_a_run_from_which_regions_were_taken_out_is_left_out_since_earlier_turns_speak_of_them(tmp_path: Path) -> None:
    turns = [zoom(0, 0, 200, 200), zoom(100, 100, 300, 300), answer("x")]
    run(tmp_path / "runs", turns, config=FocusConfig(max_conversation_tokens=1))
    run(tmp_path / "runs", [answer("y")])
    done = export(tmp_path / "runs", tmp_path / "out")
    assert [row.facts.answer for row in import_trl(tmp_path / "out")] == ["y"]
    assert [left.where for left in done.left_out] == [f"{tmp_path / 'runs' / 'trajectories.jsonl'} trajectory 1"]
    assert "regions were taken out" in done.left_out[0].why


def test_runs_without_an_answer_are_left_out_and_reasons_not_to_answer_are_kept(tmp_path: Path) -> None:
    run(tmp_path / "runs", [NEITHER] * 9)
    run(tmp_path / "runs", [answer("cannot answer: too dark")])
    done = export(tmp_path / "runs", tmp_path / "out")
    (back,) = import_trl(tmp_path / "out")
    assert back.turns == (answer("cannot answer: too dark"),)
    assert [left.why for left in done.left_out] == ["it ended without an answer (refused_limit)"]


def test_other_prompts_than_the_published_ones_need_their_profile(tmp_path: Path) -> None:
    mine = Profile(prompts=Prompts(task="Look.", reminder="Go on."))
    made = run(tmp_path / "runs", [zoom(0, 0, 200, 200), answer("x")], mine)
    with pytest.raises(ConfigError, match=f"prompts {mine.prompts.digest}. Name the profile with profile="):
        export(tmp_path / "runs", tmp_path / "out")
    with pytest.raises(ConfigError, match="The profile given has others"):
        export(tmp_path / "runs", tmp_path / "out", profile=Profile(prompts=Prompts(task="Look!")))
    assert not (tmp_path / "out").exists()
    export(tmp_path / "runs", tmp_path / "out", profile=mine)
    (back,) = import_trl(tmp_path / "out")
    assert as_held(back) == made.spoken


def test_calls_that_are_the_servers_own_are_refused_with_the_way_out(tmp_path: Path) -> None:
    run(tmp_path / "runs", [answer("x")], Profile(dialect="native"))
    with pytest.raises(TrajectoryError, match=r"dialect native are the server's own .* such as cof"):
        export(tmp_path / "runs", tmp_path / "out")


def test_a_view_that_is_gone_leaves_its_row_out(tmp_path: Path) -> None:
    gone = run(tmp_path / "runs", [zoom(0, 0, 200, 200), answer("x")])
    empty = run(tmp_path / "runs", [zoom(300, 100, 600, 400), answer("y")])
    run(tmp_path / "runs", [answer("z")])
    files = tmp_path / "runs" / "images"
    next(files.glob(f"{gone.result.views[-1].image.sha256}.*")).unlink()
    next(files.glob(f"{empty.result.views[-1].image.sha256}.*")).write_bytes(b"")
    done = export(tmp_path / "runs", tmp_path / "out")
    assert [row.facts.answer for row in import_trl(tmp_path / "out")] == ["z"]
    assert ["is not among the images" in left.why or "is empty" in left.why for left in done.left_out] == [True, True]
    assert len(list((tmp_path / "out" / "images").iterdir())) == 1


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        ({"decision": "edit", "box": [200, 100, 300, 200]}, "a person chose a region instead of the one"),
        ({"decision": "reject", "reason": "look up"}, "a person gave the policy advice after the question"),
    ],
)
def test_where_a_person_had_a_say_nothing_is_learnt(decision: dict[str, object], why: str, tmp_path: Path) -> None:
    asks_at_end = decision["decision"] == "reject"
    turns = [answer("cannot answer: too dark"), answer("x")] if asks_at_end else [zoom(0, 0, 90, 90), answer("x")]
    policy, _ = watched(*turns)
    config = FocusConfig(ask_before_zoom=not asks_at_end, ask_at_end=asks_at_end)
    agent = ChainOfFocus(policy, config=config, checkpointer=InMemorySaver(), save=tmp_path / "runs")
    list(agent.stream(photo(), "What is it?", thread_id="1"))
    assert agent.resume("1", decision).answer == "x"
    with pytest.raises(TrajectoryError, match=why):
        export(tmp_path / "runs", tmp_path / "out")
