"""How often and when to ask an endpoint again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cof_agent.errors import PolicyError
from cof_agent.policies.endpoint_errors import EndpointFailure, PromptTooLongError

_HINTS = {
    401: "check the API key",
    403: "check the API key and what it is allowed",
    404: "check the model's name and the base_url, which for most servers ends in /v1",
    405: "check the base_url: what answers there takes no chat completions",
    501: "check the base_url: what answers there takes no chat completions",
}


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when to ask again: exponential backoff with full jitter."""

    retries: int = 4
    base: float = 0.5
    """Upper bound of the first pause, in seconds; it doubles each time. The vendors' own clients start with it too."""
    cap: float = 8.0
    """Upper bound of any pause, in seconds: theirs as well."""

    def after(self, trouble: EndpointFailure, attempts: int, left: float) -> float | PolicyError:
        """Seconds to wait after so many failed `attempts`, at most the seconds that are `left`; or why not to."""
        if trouble.too_long:
            return PromptTooLongError(f"the prompt is too long for the endpoint: {trouble.words}")
        if not trouble.passes:
            hint = _HINTS.get(trouble.status or 0)
            said = "the endpoint refused the call" if trouble.status else "the call to the endpoint failed"
            return PolicyError(f"{said}: {trouble.words}" + (f" ({hint})" if hint else ""))
        if attempts > self.retries:
            times = "1 attempt" if attempts == 1 else f"{attempts} attempts, the last time"
            return PolicyError(f"the endpoint failed in {times}: {trouble.words}")
        if trouble.wait is None:
            # Full jitter: callers that failed together must not come back together.
            return min(random.uniform(0, min(self.cap, self.base * 2.0 ** min(attempts - 1, 32))), left)
        if trouble.wait >= left:
            return PolicyError(
                f"the endpoint asks to wait {trouble.wait:.1f} seconds and {left:.1f} are left: {trouble.words}"
            )
        return min(trouble.wait + random.uniform(0, self.base), left)
