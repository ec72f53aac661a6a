"""What happens at each state of the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from cof_agent.dialects.reading import as_written, read_turn
from cof_agent.dialects.registry import get_dialect
from cof_agent.dialects.turn import Turn
from cof_agent.images.limits import ImageLimits
from cof_agent.images.store import ImageStore, MemoryStore
from cof_agent.images.time_limit import images_within
from cof_agent.images.views import RegionPixels, View, ViewEvent, cut_region
from cof_agent.loop.answer_schema import answer_model, schema_text
from cof_agent.loop.call import NO_MORE, Progress, carry_out, reached
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.ending import Ending
from cof_agent.loop.failing import after_failure
from cof_agent.loop.looking import LookContext, Review, refusal
from cof_agent.loop.overview import MAX_IMAGES, check_question, open_original, open_overviews
from cof_agent.loop.page_text import with_page_text, words_in_views, words_of
from cof_agent.loop.pregel import is_resumed
from cof_agent.loop.prompt import forget_regions, resolve_images
from cof_agent.loop.reply import AskAgain, Done, Look, Situation, decide, ending_of
from cof_agent.loop.resumption import context_of_run, limits_of
from cof_agent.loop.review import another_round, check_can_ask, end_review, zoom_review
from cof_agent.loop.run_info import now, run_info
from cof_agent.loop.state import FocusState, Status, StopReason, changed, no_usage, spent
from cof_agent.loop.transcript import as_message, as_question, json_safe, last_turn, pending_calls, view_of, views_of
from cof_agent.policies.calling import Model, Prompt, acall, call, is_async
from cof_agent.policies.policy import Policy
from cof_agent.policies.retry import Retry

READ_ASIDE = 20_000
"""Characters of a turn from which it is read in a thread: an asyncio loop would stand still for milliseconds."""


class Nodes:
    """What happens at each state; `graph` has the routes between them."""

    def __init__(
        self,
        policy: Policy,
        config: FocusConfig,
        store: ImageStore,
        limits: ImageLimits,
        region_pixels: RegionPixels | None = None,
    ) -> None:
        self.policy, self.config, self.store, self.limits = policy, config, store, limits
        self.region_pixels = region_pixels or cut_region
        self.profile, self.dialect = policy.profile, get_dialect(policy.profile.dialect)
        self.with_tools: Callable[[int], Model] = lru_cache(maxsize=MAX_IMAGES)(policy.with_tools)
        self.with_tools(1)  # which raises what is wrong with it

    def observe(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """Open the images, show the overviews, and put the question."""
        began, limits = time.monotonic(), context_of_run() or self.config
        question = check_question(state.get("question"), "under the state key `question`")
        check_can_ask(limits, config)
        with images_within(limits.max_seconds):
            found = open_overviews(state, self.profile, self.store, self.limits, limits.max_visual_tokens)
        originals, overviews = found
        earlier, schema = state.get("messages", []), answer_model(config)
        asked = f"{question}\n\n{self.profile.prompts.typed}\n{schema_text(schema)}" if schema else question
        blocks: list[Any] = [{"type": "text", "text": json_safe(asked)}]
        usage = no_usage()
        if overviews:
            before: list[BaseMessage] = [RemoveMessage(id=REMOVE_ALL_MESSAGES)] if earlier else []
            first = 0
            blocks = [*(view.block for view in overviews), *blocks]
            usage["visual_tokens"] = sum(view.tokens for view in overviews)
            for view in overviews:
                _announce(view, None)
        else:
            before = [refusal(call["id"], call["name"], "a new question came first") for call in pending_calls(earlier)]
            first = len(earlier) + len(before)
        usage["seconds"] = time.monotonic() - began
        started = changed(
            state, views=[], refused_in_row=0, misfit=None, closing=None, answer=None, status=None, stop_reason=None,
            message=None, evidence=[], granted=None, finished=None,
            unshown=None if overviews else state.get("unshown"), originals=originals,
        )  # fmt: skip
        return started | {
            "original": originals[0], "first_message": first, "run": run_info(self.policy, limits), "usage": usage,
            "image": None, "question": None, "messages": [*before, as_question(blocks, overviews, question)],
        }  # fmt: skip

    def reason(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """Ask the policy for its next turn, and keep what `decide` makes of it."""
        began, (at, prompt, seconds) = time.monotonic(), self._asked(state, config)
        try:
            reply = self._written(call(self._model(at), prompt, config, seconds, Retry(at.limits.max_retries)))
        except Exception as error:  # a policy is foreign code: its failure is recorded, in this one place
            return after_failure(error, state, at, time.monotonic() - began, self.policy.name)
        return self._replied(state, at, reply, time.monotonic() - began)

    async def areason(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """`reason` for asyncio."""
        began, (at, prompt, seconds) = time.monotonic(), self._asked(state, config)
        model = self._model(at)
        if is_async(model) and callable(prompt) and not isinstance(self.store, MemoryStore):
            prompt = await asyncio.to_thread(prompt)  # not on the loop, for it may wait for a disk
        try:
            reply = self._written(await acall(model, prompt, config, seconds, Retry(at.limits.max_retries)))
            if len(reply.text) > READ_ASIDE:
                await asyncio.to_thread(self._read, reply)  # which the dialect remembers
        except Exception as error:  # as above
            return after_failure(error, state, at, time.monotonic() - began, self.policy.name)
        return self._replied(state, at, reply, time.monotonic() - began)

    def zoom(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """Run the next call of the policy's turn; a checkpoint lies between any two.

        Once a limit is reached, all calls that are left are refused at once.
        """
        asked, *left = pending_calls(state["messages"])
        limits, turn = self._limits(state), last_turn(state["messages"])
        thought = self._read(turn).thought if turn else None
        review = zoom_review(state, thought) if limits.ask_before_zoom or is_resumed(config) else None
        before = Progress(state["usage"], state["refused_in_row"], state.get("closing"))
        message, after = carry_out(asked, before, limits, lambda tokens_left: self._context(state, tokens_left, review))
        if view := view_of(message):
            _announce(view, thought)
        others = [refusal(call["id"], call["name"], NO_MORE) for call in left] if after.closing else []
        progress = changed(state, refused_in_row=after.refused_in_row, closing=after.closing)
        return {"messages": [message, *others], "usage": after.usage} | progress

    def answer(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """End the run; or go on, if a person wants that of a run without an answer."""
        at = self._situation(state, config)
        ending = Ending.of_state(state)
        if ending is None:  # the last turn says it
            message = last_turn(state["messages"][state["first_message"] :])
            ending = ending_of(self._read(message) if message else None, message, at)
        unanswered = ending.status in (Status.DECLINED, Status.BUDGET)
        if unanswered and (at.limits.ask_at_end or is_resumed(config)) and (advice := end_review(state, ending)):
            again = another_round(state, advice, self.profile.prompts.reminder)
            return {"messages": again.pop("messages")} | changed(state, **again)
        with images_within(at.limits.max_seconds):
            ending = with_page_text(ending, partial(words_of, state, self.store, self.limits))
        return ending.as_state() | {"views": [view.to_json() for view in at.views], "finished": now()}

    def _asked(self, state: FocusState, config: RunnableConfig) -> tuple[Situation, Prompt, float]:
        """Under what the policy is asked, what it gets to see, and the seconds it has."""
        at = self._situation(state, config)
        limits, usage, closing = at.limits, at.progress.usage, at.progress.closing
        if usage["policy_calls"] >= limits.max_turns:
            closing = closing or StopReason.TURN_LIMIT.value
        closing = closing or reached(usage, at.progress.refused_in_row, limits)
        at = replace(at, progress=replace(at.progress, closing=closing))
        messages = forget_regions(state["messages"], at.views, limits.max_conversation_tokens, at.unshown)
        prompt = self.dialect.render([*messages, *self._last_words(at)], self.profile, tools=at.offers_tools)
        seconds = (limits.max_seconds if closing else limits.working_seconds) - usage["seconds"]
        own = partial(words_of, state, self.store, self.limits)
        words = words_in_views(self.policy, own, self.region_pixels, seconds)
        return at, lambda: resolve_images(prompt, at.views, self.store, words), seconds

    def _replied(self, state: FocusState, at: Situation, reply: AIMessage, seconds: float) -> dict[str, Any]:
        turn, counted = self._read(reply), reply.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
        tokens = {"prompt_tokens": counted["input_tokens"], "completion_tokens": counted["output_tokens"]}
        usage, refused, wrong = spent(state["usage"], policy_calls=1, seconds=seconds, **tokens), 0, state.get("misfit")
        following = decide(turn, reply, replace(at, progress=replace(at.progress, usage=usage)))
        kept = replace(turn, calls=following.calls if isinstance(following, Look) else ())
        messages: list[BaseMessage] = [*self._last_words(at), as_message(reply, kept, state["messages"])]
        if isinstance(following, AskAgain):
            messages += [HumanMessage(json_safe(following.text))] if following.text else []
            refused, wrong = int(following.refused), following.schema_error or wrong
        ended = following.ending.as_state() if isinstance(following, Done) and not following.by_turn else {}
        in_row = at.progress.refused_in_row + refused
        progress = changed(state, refused_in_row=in_row, closing=at.progress.closing, misfit=wrong, **ended)
        return {"messages": messages, "usage": spent(usage, refused=refused)} | progress

    def _written(self, reply: AIMessage) -> AIMessage:
        return reply if self.dialect.binds_tools else as_written(self.dialect, reply)

    def _read(self, message: AIMessage) -> Turn:
        return read_turn(self.dialect, message)

    def _situation(self, state: FocusState, config: RunnableConfig) -> Situation:
        return Situation(
            Progress(state["usage"], state["refused_in_row"], state.get("closing")),
            self._limits(state),
            self.profile,
            views_of(state["messages"]),
            self.dialect.call_end,
            answer_model(config),
            state.get("misfit"),
            frozenset(state.get("unshown") or ()),
        )

    def _limits(self, state: FocusState) -> FocusConfig:
        return limits_of(state["run"], context_of_run()).with_extra_rounds(state.get("granted") or 0)

    def _model(self, at: Situation) -> Model:
        return self.with_tools(at.images) if at.offers_tools else self.policy.model

    def _last_words(self, at: Situation) -> list[HumanMessage]:
        """What asks for the last answer; a policy that was told to mend its answer needs no more than that."""
        return [HumanMessage(self.profile.prompts.closing)] if at.progress.closing and not at.schema_error else []

    def _context(self, state: FocusState, tokens_left: int, review: Review | None) -> LookContext:
        source, views = partial(open_original, state, self.store, self.limits), views_of(state["messages"])
        return LookContext(source, views, self.store, self.profile, tokens_left, self.region_pixels, review)


def _announce(view: View, thought: str | None) -> None:
    """Send the view to whoever streams the run in LangGraph's mode `custom`."""
    get_stream_writer()(ViewEvent(view, thought).to_json())
