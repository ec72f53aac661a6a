"""A run's time limit holds while an image is waited for and decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from cof_agent import ChainOfFocus, FocusConfig, ImageError, MemoryStore, Policy, Profile, build_graph
from cof_agent.images.rendering import decode_queue as queue_module
from cof_agent.images.rendering.decode_queue import DecodeQueue, Rank
from cof_agent.images.time_limit import ImageTimeError
from cof_agent.loop.state import Status, StopReason
from cof_agent.policies.script import ScriptedModel
from tests.support.conversations import answer, photo, scripted, zoom
from tests.support.patience import PATIENCE, TIMES


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> DecodeQueue:
    """Turns of this test alone: one at a time."""
    own = DecodeQueue(1)
    monkeypatch.setattr(queue_module, "decode_queue", lambda: own)
    for module in ("images.opening", "images.rendering.whole", "loop.call", "loop.overview"):
        monkeypatch.setattr(f"cof_agent.{module}.decode_queue", lambda: own)
    return own


@pytest.fixture
def busy(queue: DecodeQueue) -> Iterator[None]:
    with queue.turn(Rank.SHOW):
        yield


@pytest.mark.usefixtures("busy")
def test_a_question_whose_image_never_gets_its_turn_ends_with_an_error(tmp_path: Path) -> None:
    photo().save(tmp_path / "photo.png")
    config = FocusConfig(max_seconds=0.05)
    with pytest.raises(ImageTimeError, match="the run's time ended while waiting for the turn to decode"):
        ChainOfFocus(scripted(answer("42")), config=config).ask(photo(), "What?")
    graph = build_graph(scripted(answer("42")), config=config, store=MemoryStore())
    with pytest.raises(ImageError, match="allow it more \\(max_seconds\\), or ask fewer questions at once"):
        graph.invoke({"image": str(tmp_path / "photo.png"), "question": "What?"})


class HoldsTurns(ScriptedModel):
    """Takes all turns of the queue with its first turn, and gives them back before its second."""

    queue: Any
    held: ExitStack

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.held.close()
        result = super()._generate(messages, *args, **kwargs)
        if result.generations[0].message.content == self.turns[0]:
            self.held.enter_context(self.queue.turn(Rank.SHOW))
        return result


def test_a_zoom_whose_image_never_gets_its_turn_is_a_reached_limit(queue: DecodeQueue) -> None:
    model = HoldsTurns(turns=[zoom(10, 20, 60, 70), answer("42")], queue=queue, held=ExitStack())
    for seconds in TIMES:
        whole = seconds + PATIENCE
        config = FocusConfig(max_seconds=whole, closing_share=PATIENCE / whole)
        result = ChainOfFocus(Policy(model, Profile(), "script"), config=config).ask(photo(), "What?")
        assert (result.status, result.stop_reason, result.answer) == (Status.ANSWERED, StopReason.TIME_LIMIT, "42")
        if result.usage.policy_calls == 2:  # else the photo had taken all of the time
            break
    assert result.usage.policy_calls == 2
    assert result.usage.zooms == 0
    assert seconds <= result.usage.seconds < whole
