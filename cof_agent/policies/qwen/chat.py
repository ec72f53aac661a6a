"""A Qwen-VL checkpoint as a LangChain chat model."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, PrivateAttr

from cof_agent.errors import ConfigError
from cof_agent.policies.deadline import OutOfTimeError, seconds_left
from cof_agent.policies.qwen.batching import GenerationRequest, Worker
from cof_agent.policies.qwen.calls import call_chunks, read_calls
from cof_agent.policies.qwen.checkpoint import Checkpoint
from cof_agent.policies.qwen.engine import Engine
from cof_agent.policies.qwen.prefix import PrefixPool
from cof_agent.policies.qwen.reply import Reply
from cof_agent.policies.qwen.settings import PER_CALL, SETTINGS, Settings


class ChatQwenVL(BaseChatModel, Settings):
    """Runs a checkpoint on this machine.

    Images are taken at the size they come in: their sides must be multiples of the checkpoint's factor. One model
    runs one call or batch at a time, in a thread of its own; calls from any number of threads and tasks wait for their
    turn, no longer than the deadline they were made under (`cof_agent.policies.deadline`), and raise OutOfTimeError
    after it.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    checkpoint: Checkpoint = Field(exclude=True)
    _worker: Worker = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self.sampling(self.checkpoint.defaults, {})  # raises for values out of range
        pool = PrefixPool(self.prefix_conversations, self.prefix_bytes)
        self._worker = Worker(Engine(self.checkpoint, pool), self.max_batch)

    @property
    def _llm_type(self) -> str:
        return "cof-qwen-vl"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.checkpoint.name} | {name: getattr(self, name) for name in SETTINGS}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with `tools` in its prompt; calls in a reply are read into `tool_calls`, the text stays.

        Raises ConfigError when the checkpoint's chat template has no place for tools, and for a `tool_choice` other
        than `auto` or `none`: nothing makes a local model call a tool.
        """
        choice = kwargs.pop("tool_choice", None)
        if choice not in (None, "auto", "none", False):
            raise ConfigError(f"a local model cannot be made to call a tool (tool_choice={choice!r}): leave it out")
        if tools and not self._worker.engine.writer.renders_tools:
            raise ConfigError(
                f"the chat template of {self.checkpoint.name} shows no tools: use a dialect that describes them in "
                "text, such as cof, or a template that has them"
            )
        offered = [] if choice == "none" else [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=offered, **kwargs)

    def generate_batch(
        self,
        prompts: Sequence[LanguageModelInput],
        *,
        seeds: Sequence[int] | None = None,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> list[ChatResult]:
        """The replies to several prompts, run together whatever `max_batch` is; each is what it would be alone.

        `seeds` gives each its own; other settings are as for a single call. Raises the first prompt's error, if any
        fails, once all have ended.
        """
        if seeds is not None and len(seeds) != len(prompts):
            raise ConfigError(f"there are {len(seeds)} seeds for {len(prompts)} prompts: give one each")
        requests = [
            self._request(
                self._convert_input(prompt).to_messages(), stop, kwargs | ({"seed": seeds[at]} if seeds else {})
            )
            for at, prompt in enumerate(prompts)
        ]
        self._worker.submit(requests)
        results: list[ChatResult] = []
        failed: Exception | None = None
        for request in requests:
            try:
                results.append(self._result(request, self._awaited(request)))
            except Exception as error:  # the others end first: their threads and memory are shared
                failed = failed or error
        if failed:
            raise failed
        return results

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        self._worker.submit([request])
        return self._result(request, self._awaited(request))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        self._worker.submit([request])
        return self._result(request, await self._aawaited(request))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        request = self._request(messages, stop, kwargs, pieces.put)
        request.future.add_done_callback(lambda _: pieces.put(None))
        try:
            self._worker.submit([request])
            while True:
                try:
                    piece = pieces.get(timeout=max(request.seconds_left, 0.0))
                except queue.Empty:
                    raise _out_of_time() from None
                if piece is None:
                    break
                chunk = _piece(piece)
                if run_manager:
                    run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
            yield self._last(request, self._awaited(request))
        finally:
            request.future.cancel()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def put(piece: str | None) -> None:
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:
                return  # the loop is closed: nobody waits

        request = self._request(messages, stop, kwargs, put)
        request.future.add_done_callback(lambda _: put(None))
        try:
            self._worker.submit([request])
            while True:
                try:
                    piece = await asyncio.wait_for(pieces.get(), max(request.seconds_left, 0.0))
                except TimeoutError:
                    raise _out_of_time() from None
                if piece is None:
                    break
                chunk = _piece(piece)
                if run_manager:
                    await run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
            yield self._last(request, await self._aawaited(request))
        finally:
            request.future.cancel()

    def _request(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        given: dict[str, Any],
        on_text: Callable[[str], None] | None = None,
    ) -> GenerationRequest:
        settings = dict(given)
        tools = settings.pop("tools", None) or []
        if unknown := sorted(settings.keys() - {*PER_CALL, "stop_after"}):
            raise ConfigError(f"a local model takes no {', '.join(unknown)} in a call: it takes {', '.join(PER_CALL)}")
        left = seconds_left()
        return GenerationRequest(
            messages,
            tools,
            self.sampling(self.checkpoint.defaults, settings),
            self.limits(self.checkpoint.ends, stop, settings),
            time.monotonic() + (self.max_wait if left is None else left),
            record=self.record_tokens,
            on_text=on_text,
        )

    def _awaited(self, request: GenerationRequest) -> Reply:
        try:
            return request.future.result(max(request.seconds_left, 0.0))
        except TimeoutError:
            if request.future.done():
                return request.future.result()  # it came in time after all, or the error is its own
            raise _out_of_time() from None
        finally:
            request.future.cancel()  # nobody waits any more, also after an interrupt; nothing happens if it is done

    async def _aawaited(self, request: GenerationRequest) -> Reply:
        try:
            # `wait_for` would also wait for what it cancels.
            async with asyncio.timeout(max(request.seconds_left, 0.0)) as limit:
                return await asyncio.wrap_future(request.future)
        except TimeoutError:
            if not limit.expired():
                raise
            raise _out_of_time() from None

    def _result(self, request: GenerationRequest, reply: Reply) -> ChatResult:
        message = AIMessage(
            reply.text,
            response_metadata=self._metadata(reply),
            usage_metadata=_usage(reply),
        )
        if request.tools:
            message.tool_calls, message.invalid_tool_calls = read_calls(reply.text)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _last(self, request: GenerationRequest, reply: Reply) -> ChatGenerationChunk:
        """What follows the text of a streamed reply: its calls and figures."""
        message = AIMessageChunk(
            content="",
            response_metadata=self._metadata(reply),
            usage_metadata=_usage(reply),
            tool_call_chunks=call_chunks(reply.text) if request.tools else [],
            chunk_position="last",
        )
        return ChatGenerationChunk(message=message)

    def _metadata(self, reply: Reply) -> dict[str, Any]:
        known: dict[str, Any] = {"finish_reason": reply.finish_reason, "model_name": self.checkpoint.name}
        if reply.seed is not None:
            known["seed"] = reply.seed
        if reply.logprobs is not None:
            known |= {"token_ids": reply.ids, "logprobs": reply.logprobs, "forced_tokens": reply.forced}
        return known


def _piece(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


def _usage(reply: Reply) -> UsageMetadata:
    details = {"image": reply.visual_tokens, "cache_read": reply.reused_tokens}
    return UsageMetadata(
        input_tokens=reply.prompt_tokens,
        output_tokens=len(reply.ids),
        total_tokens=reply.prompt_tokens + len(reply.ids),
        input_token_details=cast(Any, details),
    )


def _out_of_time() -> OutOfTimeError:
    return OutOfTimeError("the local model did not reply within the time that was left")
