"""Close looking as a node of a LangGraph graph."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Literal, TypeAlias, get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.graph import END
from langgraph.types import Send

from cof_agent.agent.chain_of_focus import ChainOfFocus
from cof_agent.agent.result import FailedQuestion
from cof_agent.dialects.registry import check_names_images
from cof_agent.errors import ConfigError, ImageError, QuestionError, StoreError
from cof_agent.images.limits import ImageLimits
from cof_agent.images.opening import open_image
from cof_agent.images.reference import ImageRef
from cof_agent.images.store import ImageStore, MemoryStore
from cof_agent.images.views import View, keep_original
from cof_agent.integrations.chat_images import (
    Candidates,
    about_another,
    each_of,
    first_that_opens,
    last_image,
    last_images,
    last_question,
)
from cof_agent.integrations.state_keys import Key, Keys, name_of, read
from cof_agent.integrations.wording import NO_IMAGE, NO_QUESTION
from cof_agent.loop.config import FocusConfig
from cof_agent.loop.graph import FocusGraph, as_policy, build_graph
from cof_agent.loop.overview import images_of, is_list, naming
from cof_agent.loop.pregel import keeps_runs
from cof_agent.loop.prompt import image_block
from cof_agent.loop.state import FocusInput, Status, originals_of
from cof_agent.policies.loading import load_policy
from cof_agent.policies.policy import Policy

__all__ = [
    "Candidates",
    "Key",
    "OnFailure",
    "ask_each",
    "last_image",
    "last_images",
    "last_question",
    "perception_node",
]

OnFailure: TypeAlias = Literal["raise", "return"]


def perception_node(
    policy: str | Policy | BaseChatModel = "reader",
    *,
    image_key: Key = "image",
    question_key: Key = "question",
    answer_key: str | None = "answer",
    status_key: str | None = "status",
    evidence_key: str | None = "evidence",
    reason_key: str | None = None,
    messages_key: str | None = None,
    call_key: Key | None = None,
    findings_key: str | None = None,
    show_views: bool = False,
    remembers: bool = False,
    on_failure: OnFailure = "raise",
    config: FocusConfig | None = None,
    store: ImageStore | None = None,
    limits: ImageLimits | None = None,
) -> Runnable[Any, dict[str, Any]]:
    """A node for `add_node` that answers a question about an image, or about several.

    It reads an image (path, URL, image reference, bytes or PIL image), or a list of several, and a question from the
    parent's state, each by its key or function: `last_images` and `last_question` are those for a conversation. Of
    `Candidates`, which `last_images` gives, it looks at the first that can be opened; the message with the answer says
    so if that is an earlier one. A PIL image cannot be in the state of a graph with a checkpointer: give a path, a URL
    or a reference. Several images need a policy whose calls name the image, such as `reader`. It writes the
    answer (or None), the status and the evidence (boxes in original upright pixels) back, each under its key; a key
    that is None is not written, and LangGraph drops one that the parent's state does not declare. Under `messages_key`
    goes a message with the answer: of the assistant, or the observation of the tool call whose id is under `call_key`.
    Its images are inlined (`show_views`) or none. Under `findings_key` goes a list with one finding, for a reducer that
    adds them up (see `ask_each`).

    The loop runs as a subgraph, so the parent's streaming, checkpointer, interrupts and tracing see inside. One that
    `remembers` keeps what it saw for the next question of the same thread about the same image; it needs the
    parent's checkpointer, and must not run several times at once. Where the parent's context is a FocusConfig, its
    limits hold, else those of `config`.

    Raises QuestionError, a ConfigError, for state without an image or a question, naming the key, and for several
    images where the policy's dialect cannot tell them apart, ImageError for a bad image, and StoreError where the store
    cannot keep an image or has lost it. With `on_failure="return"` it raises none of these: the answer is None, the
    status `failed`, and why goes under `reason_key`, as for any run without an answer. The same where there is a list
    of findings, and, but for a StoreError, a call to answer. Raises ConfigError in any case for what whoever built the
    graph has to mend, such as a `call_key` without `messages_key`, or what needs a checkpointer where there is none.
    """
    keys = Keys(
        image=image_key,
        question=question_key,
        call=call_key,
        answer=answer_key,
        status=status_key,
        evidence=evidence_key,
        reason=reason_key,
        messages=messages_key,
        findings=findings_key,
    )
    if on_failure not in get_args(OnFailure):
        raise ConfigError(f'on_failure={on_failure!r:.80} is neither "raise" nor "return"')
    if isinstance(policy, ChainOfFocus):
        raise ConfigError(
            'perception_node takes a policy, such as "reader", not a ChainOfFocus: give what that one was made with to '
            "the node itself, as limits=, config= and store="
        )
    driver = as_policy(load_policy(policy) if isinstance(policy, str) else policy)
    images = store if store is not None else MemoryStore()
    memory = True if remembers else None
    graph = build_graph(driver, config=config, store=images, limits=limits, checkpointer=memory)
    return PerceptionNode(
        driver,
        graph,
        keys,
        images,
        limits=limits,
        show_views=show_views,
        remembers=remembers,
        returns_failures=on_failure == "return",
    )


class PerceptionNode(RunnableLambda[Any, dict[str, Any]]):
    """The loop as a node: it asks what the parent's state has under `keys`, and writes the answer back."""

    def __init__(
        self,
        policy: Policy,
        graph: FocusGraph,
        keys: Keys,
        store: ImageStore,
        *,
        limits: ImageLimits | None,
        show_views: bool,
        remembers: bool,
        returns_failures: bool = False,
    ) -> None:
        super().__init__(self._look, self._alook, name="perception")
        self.policy, self.graph, self.keys, self.store = policy, graph, keys, store
        self.limits, self.show_views, self.remembers = limits, show_views, remembers
        self.returns_failures = returns_failures

    @cached_property
    def deps(self) -> list[Runnable[Any, Any]]:
        """The loop, so that LangGraph finds it as a subgraph: in a bound method it finds none by itself."""
        return [self.graph]

    def _look(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        self._check_memory(config)
        asked: FocusInput | None = None
        try:
            asked, problem = self._asked(state)
            return self._written(state, self.graph.invoke(asked, config), asked, problem)
        except (QuestionError, ImageError) as error:
            return self._failed(state, asked, error)

    async def _alook(self, state: Any, config: RunnableConfig) -> dict[str, Any]:
        self._check_memory(config)
        asked: FocusInput | None = None
        try:
            asked, problem = await asyncio.to_thread(self._asked, state)
            output = await self.graph.ainvoke(asked, config)
            return await asyncio.to_thread(self._written, state, output, asked, problem)
        except (QuestionError, ImageError) as error:
            return self._failed(state, asked, error)

    def _check_memory(self, config: RunnableConfig) -> None:
        if self.remembers and not keeps_runs(config):
            raise ConfigError("remembers=True needs a checkpointer: compile the outermost graph with one")

    def _asked(self, state: Any) -> tuple[FocusInput, ImageError | None]:
        """What the loop is asked; and what was wrong with the newest image, where it is an earlier one instead."""
        keys, problem = self.keys, None
        image, question = read(state, keys.image), read(state, keys.question) or ""
        if not isinstance(question, str):
            raise QuestionError(f"the question under {name_of(keys.question)} must be text, not {question!r:.80}")
        if isinstance(image, Candidates):
            image, opened, problem = first_that_opens(image, self.limits)
            if opened:
                kept = [keep_original(source, self.store) for source in opened]
                image = kept if is_list(image) else kept[0]
        asks = bool(question.strip())
        if not asks or (image is None and not self.remembers):
            raise keys.lacking(state, NO_IMAGE if asks else NO_QUESTION)
        images = images_of(image)
        try:
            check_names_images(self.policy.profile, len(images), self.policy.name)
        except ConfigError as error:  # who put several images into the state can mend it
            raise QuestionError(str(error)) from error
        given = [naming(at, len(images), partial(self._kept, one)) for at, one in enumerate(images)]
        return FocusInput(image=given if len(given) > 1 else given[0] if given else None, question=question), problem

    def _kept(self, image: Any) -> Any:
        """What state holds of an image: pixels stay out of the checkpoints."""
        if isinstance(image, os.PathLike):
            image = os.fsdecode(image)
        if isinstance(image, dict) or (isinstance(image, str) and image[:5].lower() != "data:"):
            return image
        return keep_original(open_image(image, limits=self.limits), self.store)

    def _written(
        self, state: Any, output: Mapping[str, Any], asked: FocusInput | None = None, problem: ImageError | None = None
    ) -> dict[str, Any]:
        """What goes into the parent's state; with a note where a `problem` made the image an earlier one."""
        keys = self.keys
        written = {
            keys.answer: output["answer"],
            keys.status: output["status"],
            keys.evidence: output["evidence"],
            keys.reason: output["message"],
        }
        if keys.messages is not None:
            note = _note(originals_of(output), asked, problem) if asked and problem else ""
            views = self.store if self.show_views else None
            written[keys.messages] = [_message(output, keys.call_id(state), views, note)]
        if keys.findings is not None:
            names = ("answer", "status", "stop_reason", "message", "evidence")
            finding = {"question": read(state, keys.question)} | {name: output[name] for name in names}
            written[keys.findings] = [finding]
        return {key: value for key, value in written.items() if key is not None}

    def _failed(self, state: Any, asked: FocusInput | None, error: QuestionError | ImageError) -> dict[str, Any]:
        """What was not answered is told to whoever made the call, is a finding, or is returned; else it is raised."""
        remembered = asked is not None and asked["image"] is None
        if isinstance(error, QuestionError) and remembered:  # the loop itself has none
            error = self.keys.lacking(state, NO_IMAGE)
        told = self.keys.call_id(state) is not None and not isinstance(error, StoreError)  # which no model could mend
        if not (told or self.keys.findings is not None or self.returns_failures):
            raise error
        return self._written(state, FailedQuestion(None, "", error, self.policy.name).to_json())


def ask_each(node: str, questions_key: Key = "questions", otherwise: str = END) -> Callable[[Any], list[Send] | str]:
    """A route for `add_conditional_edges`: sends each of a list of questions to the perception node of that name.

    Each question is a mapping that the node reads its keys from, such as `{"image": …, "question": …}`. They run side
    by side, as many as the run's `max_concurrency` allows; findings add up in their order. Without any question the
    graph goes on `otherwise`. Raises ConfigError for what is no list of mappings.
    """

    def route(state: Any) -> list[Send] | str:
        questions = read(state, questions_key)
        listed = isinstance(questions, Sequence) and not isinstance(questions, str)
        if not listed or not all(isinstance(question, Mapping) for question in questions):
            raise ConfigError(
                f"the state needs a list of questions under {name_of(questions_key)}, each with what the node "
                f'reads, such as {{"image": …, "question": …}}, not {questions!r:.80}'
            )
        return [Send(node, dict(question)) for question in questions] or otherwise

    return route


def _url(image: Mapping[str, Any]) -> str:
    return ImageRef.from_json(image).url


def _note(originals: Sequence[Mapping[str, Any]], asked: FocusInput, problem: ImageError) -> str:
    """Says that an answer is about earlier images; nothing where the run began with the newest, when it was there."""
    chosen = [_url(image) if isinstance(image, dict) else None for image in each_of(asked["image"])]
    if chosen != [*map(_url, originals)]:
        return ""
    return about_another([original["source"] for original in originals], problem)


def _message(output: Mapping[str, Any], call_id: str | None, store: ImageStore | None, note: str) -> BaseMessage:
    """The answer for a conversation, with the views out of `store` if there is one."""
    answer, status = output["answer"], output["status"]
    text = answer if answer is not None else f"No answer ({status}): {output['message']}"
    text = f"{text}\n\n{note}" if note else text
    content: Any = text
    if store is not None:
        views = [View.from_json(view) for view in output["views"]]
        content = [{"type": "text", "text": text}, *(image_block(store.get(view.image), view.image) for view in views)]
    if call_id is None:
        return AIMessage(content)
    return ToolMessage(content, tool_call_id=call_id, status="error" if status == Status.FAILED else "success")
