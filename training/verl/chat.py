"""A rollout server of verl as a LangChain chat model: token ids go in, token ids and log-probabilities come out."""

from __future__ import annotations

from typing import Any, Protocol

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from cof_agent.errors import ConfigError, PolicyError
from training.verl.tokens import Tokens


class Output(Protocol):
    """What a server returns: verl's `TokenOutput`."""

    token_ids: list[int]
    log_probs: list[float] | None
    stop_reason: str | None
    num_preempted: int | None
    extra_fields: dict[str, Any]


class Server(Protocol):
    """What is asked of a server: verl's `LLMServerClient`."""

    async def generate(
        self,
        request_id: str,
        *,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        image_data: list[Any] | None = None,
    ) -> Output: ...


class ChatRollout(BaseChatModel):
    """Leads one conversation, which it keeps as tokens; to be asked with `ainvoke` alone, one call after the other."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    server: Any = Field(exclude=True)
    """A `Server`."""
    tokens: Tokens = Field(exclude=True)
    request_id: str
    """Turns of one conversation go to the server that has its beginning in memory."""
    sampling: dict[str, Any] = Field(default_factory=dict)
    """As verl gives it to its loops; with a true `logprobs` every turn must come with them."""
    _outputs: list[Any] = PrivateAttr(default_factory=list)

    @property
    def outputs(self) -> list[Output]:
        """What the server returned, turn by turn."""
        return self._outputs

    @property
    def _llm_type(self) -> str:
        return "cof-verl-rollout"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise ConfigError("a rollout server is asked with asyncio alone: use ainvoke")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if stop or kwargs:
            raise ConfigError(f"a rollout server takes no {', '.join(kwargs) or 'stop'} in a call: set them in verl")
        prompt, images = self.tokens.show(messages)
        most = min(self.tokens.room, self.sampling.get("max_tokens", self.tokens.room))
        output: Output = await self.server.generate(
            request_id=self.request_id,
            prompt_ids=prompt,
            sampling_params=self.sampling | {"max_tokens": most},
            image_data=images or None,
        )
        if output.stop_reason in ("aborted", "abort"):
            raise PolicyError("the rollout server has aborted the turn: its weights were about to change")
        ids, logprobs = list(output.token_ids), output.log_probs or None
        if (self.sampling.get("logprobs") or logprobs) and len(logprobs or []) != len(ids):
            raise PolicyError(
                f"the rollout server gave {len(ids)} tokens and {len(logprobs or [])} log-probabilities: set "
                "calculate_log_probs in verl's rollout to what the server does"
            )
        text = self.tokens.say(messages, ids, logprobs)
        self._outputs.append(output)
        usage = UsageMetadata(input_tokens=len(prompt), output_tokens=len(ids), total_tokens=len(prompt) + len(ids))
        metadata = {"token_ids": ids, "logprobs": logprobs, "finish_reason": output.stop_reason}
        message = AIMessage(text, usage_metadata=usage, response_metadata=metadata)
        return ChatResult(generations=[ChatGeneration(message=message)])
