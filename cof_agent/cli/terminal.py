"""A question as it is followed on a terminal."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from cof_agent.cli.limits import in_options
from cof_agent.cli.output import printable, say
from cof_agent.images.display_name import with_page

if TYPE_CHECKING:
    from cof_agent.agent.chain_of_focus import ChainOfFocus, Event
    from cof_agent.agent.result import FocusResult
    from cof_agent.loop.review import Request

Item = TypeVar("Item")


class Thoughts:
    """What a policy thinks before several regions is told once."""

    def __init__(self) -> None:
        self._last: str | None = None

    def unsaid(self, thought: str | None) -> str | None:
        """`thought`, unless there is none or it was the last that was told."""
        if not thought or thought == self._last:
            return None
        self._last = thought
        return thought


def watch(
    agent: ChainOfFocus,
    events: Iterator[Event],
    show: bool,
    thoughts: Thoughts | None = None,
    names: Sequence[str] = (),
) -> FocusResult | Request:
    """Follow a question to its end or to a person's decision, telling on standard error what is being looked at.

    `names` are those of its images.
    """
    from cof_agent.cli.console import CleanConsole
    from cof_agent.cli.drawing import in_characters
    from cof_agent.images.views import ViewEvent

    console, thoughts = CleanConsole(stderr=True), thoughts or Thoughts()
    result: FocusResult | Request | None = None
    with console.status("looking…"):
        for event in aside(events):
            if not isinstance(event, ViewEvent):
                result = event
                continue
            view = event.view
            if thought := thoughts.unsaid(event.thought):
                console.print(thought, style="dim", soft_wrap=True)
            name = names[view.image_index] if len(names) > 1 else None
            console.print(printable(view.describe(name)), style="cyan", soft_wrap=True)
            if show and console.color_system:
                data = agent.store.get(view.image)
                console.print(in_characters(data, columns=min(72, console.width), rows=max(8, console.height - 4)))
    assert result is not None, "a stream ends with its result"
    return result


_BLINK = 0.2
"""Seconds after which Python looks for a Ctrl-C again: one that comes just as it begins to wait does not wake it."""


def aside(work: Iterator[Item]) -> Iterator[Item]:
    """Yield from `work`, which a thread of its own runs: Ctrl-C then ends the wait at once, whatever a policy does."""
    done = object()
    items: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            for item in work:
                items.put((item, None))
            items.put((done, None))
        except BaseException as error:  # whatever it is belongs to the caller's thread
            items.put((done, error))

    threading.Thread(target=run, name="cof-run", daemon=True).start()
    while True:
        try:
            item, error = items.get(timeout=_BLINK)
        except queue.Empty:
            continue
        if error is not None:
            raise error
        if item is done:
            return
        yield item


def print_result(result: FocusResult) -> None:
    if result.answer is not None:
        say(result.answer, lines=True)
    else:
        why = in_options(result.message or "")
        say(f"{result.status.value} ({result.stop_reason.value}): {why}", err=True, lines=True)
    for item in result.evidence:
        where = "last looked at" if item.source == "last_view" else "evidence"
        image = result.images[item.image_index]
        of = with_page(image.source, image.page, image.pages) if len(result.images) > 1 else "the original"
        say(f"{where}: {list(item.box)} in {of}, seen in view {item.view}", err=True)
    if result.saved:
        say(f"saved to {result.saved}", err=True)


def typed_lines() -> Iterator[str]:
    """Lines from standard input, with a prompt when that is a terminal."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    with contextlib.suppress(ImportError):  # not on Windows
        import readline  # noqa: F401  # editing and history for input()
    prompt, interrupted = "> " if sys.stdout.isatty() else "", False
    while True:
        try:
            line = input(prompt)
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted and not _begun():
                raise
            interrupted = True
            say("", err=True)
            say("Ctrl-C once more, Ctrl-D or /quit leaves", err=True)
        else:
            interrupted = False
            yield line


def _begun() -> bool:
    """Whether something stood on the line that Ctrl-C has just cleared, as far as one can tell."""
    readline = sys.modules.get("readline")
    return bool(readline and readline.get_line_buffer())
