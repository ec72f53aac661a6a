"""What happens at each state of the loop."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.errors import GraphBubbleUp
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.runtime import get_runtime
from pydantic import BaseModel

from cof_agent.dialects.json_calls import as_written
from cof_agent.dialects.registry import get_dialect
from cof_agent.dialects.tools import LookContext, Review, image_tools, refusal
from cof_agent.errors import CofError, ConfigError, QuestionError
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import load_image
from cof_agent.images.reference import ImageRef
from cof_agent.images.store import ImageStore, MemoryStore
from cof_agent.images.views import RegionPixels, View, ViewEvent, cut_region
from cof_agent.loop.answer_schema import answer_model, schema_error, schema_text
from cof_agent.loop.call import NO_MORE, Progress, carry_out, reached
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.ending import conclude, final_answer, without_answer
from cof_agent.loop.overview import open_overview
from cof_agent.loop.prompt import forget_regions, resolve_images
from cof_agent.loop.resumption import limits_of
from cof_agent.loop.review import check_can_ask, decided, end_review, zoom_review
from cof_agent.loop.state import FocusState, RunInfo, Status, StopReason, no_usage, spent
from cof_agent.loop.trainer_loop import as_trainer
from cof_agent.loop.transcript import as_message, as_question, json_safe, last_turn, pending_calls, view_of, views_of
from cof_agent.loop.versions import versions
from cof_agent.policies.calling import Model, Prompt, PromptError, acall, call, is_async
from cof_agent.policies.deadline import OutOfTimeError
from cof_agent.policies.policy import Policy
from cof_agent.policies.retries import Retry

log = logging.getLogger(__name__)


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
        self.with_tools: Model = policy.model
        if self.dialect.binds_tools and self.profile.tools:
            try:
                self.with_tools = policy.model.bind_tools(image_tools(self.profile))
            except NotImplementedError as error:
                raise ConfigError(
                    f"{policy.name} cannot bind tools: use a chat model that can, or a profile whose dialect writes "
                    'calls as text, such as Profile(dialect="cof")'
                ) from error

    def observe(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """Open the image, show the overview, and put the question."""
        began = time.monotonic()
        question = state.get("question")
        if not isinstance(question, str) or not question.strip():
            raise QuestionError(f"the question must be text under the state key `question`, not {question!r}")
        limits = _context() or self.config
        check_can_ask(limits, config)
        original, overview = open_overview(state, self.profile, self.store, self.limits)
        reset: list[BaseMessage] = []
        earlier = state.get("messages", [])
        left = [refusal(call["id"], call["name"], "a new question came first") for call in pending_calls(earlier)]
        usage, first = no_usage(), len(earlier) + len(left)
        wanted = answer_model(config)
        question = json_safe(question.strip())
        asked = f"{question}\n\n{self.profile.prompts.typed}\n{schema_text(wanted)}" if wanted else question
        blocks: list[Any] = [{"type": "text", "text": json_safe(asked)}]
        if overview:
            reset = [RemoveMessage(id=REMOVE_ALL_MESSAGES)] if state.get("messages") else []
            left, first = [], 0
            blocks.insert(0, overview.block)
            usage["visual_tokens"] = overview.tokens
            _announce(overview, None)
        usage["seconds"] = time.monotonic() - began
        progress = _changed(
            state, views=[], refused_in_row=0, misfit=None, closing=None, answer=None, status=None, stop_reason=None,
            message=None, evidence=[], granted=None, finished=None,
        )  # fmt: skip
        messages = [*reset, *left, as_question(blocks, overview, question)]
        return progress | {
            "image": None, "question": None, "run": self._run_info(limits), "original": original, "usage": usage,
            "messages": messages, "first_message": first,
        }  # fmt: skip

    def reason(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """Ask the policy for its next turn."""
        began, (closing, prompt, seconds) = time.monotonic(), self._prompt(state)
        try:
            reply = call(self._model(state), prompt, config, seconds, self._retry(state))
        except Exception as error:  # a policy is foreign code: its failure is recorded, in this one place
            return self._failed(state, closing, error, time.monotonic() - began)
        return self._replied(state, closing, reply, answer_model(config), time.monotonic() - began)

    async def areason(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """:meth:`reason` for asyncio."""
        began, model, (closing, prompt, seconds) = time.monotonic(), self._model(state), self._prompt(state)
        if is_async(model) and callable(prompt) and not isinstance(self.store, MemoryStore):
            prompt = await asyncio.to_thread(prompt)  # not on the loop, for it may wait for a disk
        try:
            reply = await acall(model, prompt, config, seconds, self._retry(state))
        except Exception as error:  # as above
            return self._failed(state, closing, error, time.monotonic() - began)
        return self._replied(state, closing, reply, answer_model(config), time.monotonic() - began)

    def zoom(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """Run the next call of the policy's turn; a checkpoint lies between any two.

        Once a limit is reached, all calls that are left are refused at once.
        """
        asked, *left = pending_calls(state["messages"])
        limits, turn = self._granted(state), last_turn(state["messages"])
        thought = self.dialect.parse(turn).thought if turn else None
        review = zoom_review(state, thought) if limits.ask_before_zoom or decided(config) else None
        before = Progress(state["usage"], state["refused_in_row"], state.get("closing"))
        message, after = carry_out(asked, before, limits, lambda tokens_left: self._sight(state, tokens_left, review))
        if view := view_of(message):
            _announce(view, thought)
        others = [refusal(call["id"], call["name"], NO_MORE) for call in left] if after.closing else []
        progress = _changed(state, refused_in_row=after.refused_in_row, closing=after.closing)
        return {"messages": [message, *others], "usage": after.usage} | progress

    def answer(self, state: FocusState, config: RunnableConfig) -> dict[str, Any]:
        """Say how the run ended, and on what evidence; or go on, if a person wants that of a run without an answer."""
        limits = self._granted(state)
        message = last_turn(state["messages"][state["first_message"] :])
        turn = self.dialect.parse(message) if message else None
        views = views_of(state["messages"])
        ending = {name: state.get(name) for name in ("status", "stop_reason", "message")}
        ending |= conclude(state, turn, message, views, self.profile, limits)
        unanswered = ending["status"] in (Status.DECLINED.value, Status.BUDGET.value)
        if unanswered and (limits.ask_at_end or decided(config)) and (advice := end_review(state, ending)):
            return self._again(state, advice)
        return ending | {"views": [view.to_json() for view in views], "finished": _now()}

    def _again(self, state: FocusState, advice: str) -> dict[str, Any]:
        """The policy is told a person's advice, and the limits are granted once more."""
        said = HumanMessage(json_safe(f"{advice}\n\n{self.profile.prompts.reminder}".strip()))
        unended = dict.fromkeys(("closing", "misfit", "status", "stop_reason", "message"))
        return {"messages": [said]} | _changed(
            state, **unended, refused_in_row=0, granted=(state.get("granted") or 0) + 1
        )

    def _model(self, state: FocusState) -> Model:
        return self.with_tools if self._offers_tools(state) else self.policy.model

    def _offers_tools(self, state: FocusState) -> bool:
        """Also in the closing turn, where a call is ignored: what the policy saw before must stay as it was."""
        return self._limits(state).max_zooms > 0 and bool(self.profile.tools)

    def _too_early(self, state: FocusState) -> bool:
        return self._offers_tools(state) and state["usage"]["zooms"] < self._limits(state).min_zooms

    def _retry(self, state: FocusState) -> Retry:
        return Retry(self._limits(state).max_retries)

    def _limits(self, state: FocusState) -> FocusConfig:
        return limits_of(state["run"], _context())

    def _granted(self, state: FocusState) -> FocusConfig:
        return self._limits(state).granted(state.get("granted") or 0)

    def _sight(self, state: FocusState, tokens_left: int, review: Review | None) -> LookContext:
        source = load_image(ImageRef.from_json(state["original"]), self.store, limits=self.limits)
        views = views_of(state["messages"])
        return LookContext(source, views, self.store, self.profile, tokens_left, self.region_pixels, review)

    def _run_info(self, limits: FocusConfig) -> RunInfo:
        return RunInfo(
            policy=self.policy.name,
            dialect=self.profile.dialect,
            tools=list(self.profile.tools),
            prompts=self.profile.prompts.digest,
            config=limits.model_dump(),
            versions=versions(),
            started=_now(),
        )

    def _prompt(self, state: FocusState) -> tuple[str | None, Prompt, float]:
        """The limit that was reached, if any; what the policy gets to see; the seconds it has."""
        limits, usage, closing = self._granted(state), state["usage"], state.get("closing")
        if usage["policy_calls"] >= limits.max_turns:
            closing = closing or StopReason.TURN_LIMIT.value
        closing = closing or reached(usage, state["refused_in_row"], limits)
        views = views_of(state["messages"])
        messages = forget_regions(state["messages"], views, limits.max_conversation_tokens)
        messages += self._last_words(state, closing)
        prompt = self.dialect.render(messages, self.profile, tools=self._offers_tools(state))
        seconds = (limits.max_seconds if closing else limits.working_seconds) - usage["seconds"]
        return closing, lambda: resolve_images(prompt, views, self.store), seconds

    def _last_words(self, state: FocusState, closing: str | None) -> list[HumanMessage]:
        """What asks for the last answer; a policy that was told to mend its answer needs no more than that."""
        return [HumanMessage(self.profile.prompts.closing)] if closing and not state.get("misfit") else []

    def _replied(
        self,
        state: FocusState,
        closing: str | None,
        reply: AIMessage,
        wanted: type[BaseModel] | None,
        seconds: float,
    ) -> dict[str, Any]:
        reply = reply if self.dialect.binds_tools else as_written(reply)
        turn = self.dialect.parse(reply)
        counted = reply.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
        usage = spent(
            state["usage"],
            policy_calls=1,
            prompt_tokens=counted["input_tokens"],
            completion_tokens=counted["output_tokens"],
            seconds=seconds,
        )
        ended, limits = None, self._limits(state)
        if limits.trainer_loop:
            turn, ended = as_trainer(turn, reply.text, self.dialect.call_end, usage, closing, limits)
        elif closing:
            turn = replace(turn, calls=())
        elif self.profile.stop_after_call:
            turn = replace(turn, calls=turn.calls[:1])
        messages: list[BaseMessage] = [*self._last_words(state, closing)]
        messages.append(as_message(reply, turn, state["messages"]))
        if ended:
            return {"messages": messages, "usage": usage} | without_answer(ended, limits)
        refused = state["refused_in_row"]
        if not (turn.calls or turn.answer or closing):
            messages.append(HumanMessage(self.profile.prompts.format_error))
            usage, refused = spent(usage, refused=1), refused + 1
        changed = _changed(state, refused_in_row=refused, closing=closing)
        answer = final_answer(turn, reply, closing)
        if answer is not None and not turn.calls and not closing and self._too_early(state):
            messages.append(HumanMessage(self.profile.prompts.look_first))
            usage, refused = spent(usage, refused=1), refused + 1
            return {"messages": messages, "usage": usage} | _changed(state, refused_in_row=refused)
        if wanted and answer is not None and not turn.calls and (wrong := schema_error(wanted, answer)):
            earlier = state.get("misfit")
            if earlier:
                changed |= _misfitted(wanted, answer, wrong, earlier)
            else:
                messages.append(HumanMessage(json_safe(f"{self.profile.prompts.misfit} {wrong}")))
                changed |= {"misfit": wrong}
        return {"messages": messages, "usage": usage} | changed

    def _failed(self, state: FocusState, closing: str | None, error: Exception, seconds: float) -> dict[str, Any]:
        if isinstance(error, GraphBubbleUp):
            raise error
        if isinstance(error, PromptError):
            raise error.__cause__ or error
        usage = spent(state["usage"], policy_calls=1, seconds=seconds)
        if isinstance(error, OutOfTimeError):
            if not closing:
                return {"usage": usage, "closing": StopReason.TIME_LIMIT.value}
            error = OutOfTimeError(
                f"{error}: the limit of {self._granted(state).max_seconds:g} seconds (max_seconds) was reached"
            )
            status, reason = Status.BUDGET, StopReason(closing)
        else:
            log.warning("the policy %s failed", self.policy.name, exc_info=error)
            status, reason = Status.FAILED, StopReason.POLICY_ERROR
        message = str(error) if isinstance(error, CofError) else f"{type(error).__name__}: {error}"
        return {"usage": usage, "status": status.value, "stop_reason": reason.value, "message": message}


def _context() -> FocusConfig | None:
    context: object = get_runtime(FocusConfig).context  # as a subgraph it may be the parent's, of another kind
    return context if isinstance(context, FocusConfig) else None


def _misfitted(wanted: type[BaseModel], answer: str, wrong: str, earlier: str) -> dict[str, Any]:
    return {
        "status": Status.FAILED.value,
        "stop_reason": StopReason.ANSWER_MISFIT.value,
        "message": json_safe(
            f"the answer does not fit {wanted.__name__}: {wrong} (before it was asked for once more: {earlier}); "
            f"the policy's last answer was {answer}"
        ),
    }


def _changed(state: FocusState, **values: Any) -> dict[str, Any]:
    """The values that differ from those in `state`: checkpointers store each one that is written."""
    return {name: value for name, value in values.items() if value != state.get(name)}


def _announce(view: View, thought: str | None) -> None:
    """Send the view to whoever streams the run in LangGraph's mode `custom`."""
    get_stream_writer()(ViewEvent(view, thought).to_json())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
