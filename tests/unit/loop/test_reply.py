"""What a turn leads to, decided from the turn, the progress and the limits alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from cof_agent.dialects import get_dialect
from cof_agent.dialects.profile import Profile
from cof_agent.images import ImageRef
from cof_agent.images.geometry import Box
from cof_agent.images.views import View
from cof_agent.loop.call import Progress
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.ending import Ending
from cof_agent.loop.reply import AskAgain, Done, Look, Next, Situation, decide
from cof_agent.loop.state import Status, StopReason, no_usage
from tests.support.conversations import answer, zoom

PROFILE = Profile()
OVERVIEW = View(0, "overview", Box(0, 0, 280, 196), (280, 196), 70, ImageRef("0" * 64, "image/png", 280, 196))
AT = Situation(Progress(no_usage()), FocusConfig(), PROFILE, [OVERVIEW], "</tool_call>")
CLOSING = replace(AT, progress=Progress(no_usage(), closing="turn_limit"))


class Hour(BaseModel):
    hour: int


def after(text: str, at: Situation = AT) -> Next:
    reply = AIMessage(text)
    return decide(get_dialect("cof").parse(reply), reply, at)


def ended(text: str, at: Situation = AT) -> Ending:
    following = after(text, at)
    assert isinstance(following, Done)
    return following.ending


def test_calls_are_carried_out_as_many_as_the_profile_takes() -> None:
    two = zoom(1, 2, 30, 40) + zoom(5, 6, 70, 80)
    following = after(two)
    assert isinstance(following, Look)
    assert [call.args["bbox_2d"] for call in following.calls] == [[1, 2, 30, 40], [5, 6, 70, 80]]
    first = after(two, replace(AT, profile=Profile(stop_after_call=True)))
    assert isinstance(first, Look)
    assert first.calls == following.calls[:1]


def test_a_turn_that_says_nothing_is_told_the_form() -> None:
    assert after("<think>Hm.</think>") == AskAgain(PROFILE.prompts.format_error, refused=True)


def test_an_answer_before_the_first_look_is_refused_where_looks_are_asked_for() -> None:
    early = replace(AT, limits=FocusConfig(min_zooms=1))
    assert after(answer("nine"), early) == AskAgain(PROFILE.prompts.look_first, refused=True)
    assert ended(answer("nine"), replace(early, profile=Profile(tools=()))).answer == "nine"


def test_an_answer_ends_it() -> None:
    assert ended(answer("nine")) == Ending(Status.ANSWERED, StopReason.ANSWERED, None, "nine")


def test_a_decline_ends_it_with_its_words() -> None:
    ending = ended(answer("Cannot answer: no sign is there."))
    assert ending == Ending(Status.DECLINED, StopReason.DECLINED, "no sign is there")


@pytest.mark.parametrize("text", [zoom(1, 2, 30, 40), "<think>Hm.</think>"])
def test_the_last_turn_ends_it_whatever_it_says(text: str) -> None:
    ending = ended(text, CLOSING)
    assert (ending.status, ending.stop_reason, ending.answer) == (Status.BUDGET, StopReason.TURN_LIMIT, None)


def test_plain_text_counts_in_the_last_turn_alone() -> None:
    assert ended("Nine, I think.", CLOSING).answer == "Nine, I think."
    assert isinstance(after("Nine, I think."), AskAgain)


def test_an_answer_that_does_not_fit_is_asked_for_once_more() -> None:
    typed = replace(AT, schema=Hour)
    following = after(answer("nine"), typed)
    assert isinstance(following, AskAgain)
    assert (following.refused, bool(following.schema_error)) == (False, True)
    again = after(answer("nine"), replace(typed, schema_error=following.schema_error))
    assert isinstance(again, Done)
    assert (again.ending.stop_reason, again.by_turn) == (StopReason.ANSWER_MISFIT, False)
    assert ended(answer('{"hour": 9}'), typed).answer == '{"hour": 9}'


def test_a_trainers_loop_ends_where_the_graphs_asks_again() -> None:
    trained = replace(AT, limits=FocusConfig(trainer_loop=True))
    assert ended("<think>Hm.</think>", trained).stop_reason is StopReason.NOT_MENDED
    assert isinstance(after(zoom(1, 2, 30, 40), trained), Look)


def test_an_ending_is_in_state_and_back() -> None:
    ending = ended(answer("nine"))
    assert Ending.of_state(ending.as_state()) == ending
    assert Ending.of_state({"status": None}) is None
