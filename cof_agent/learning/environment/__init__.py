"""Questions as step environments, in the form that TRL's GRPOTrainer takes: `environment_factory=ZoomEnvironment`.

Calls run through the code of the graph's own loop (limits, boxes, pixels, refusals, words), so what a policy sees while
it learns is what it sees when it is served. The trainer's loop (trl 1.16) itself differs from the graph's; the graph
does the first three as well with `FocusConfig.trainer_loop`:

- A turn whose calls are not strict JSON ends the episode, as does one with neither a call nor an answer; the graph says
  what is wrong and asks again. So does an answer before `FocusConfig.min_zooms` regions: see
  `Episode.looked_enough`.
- Once a limit is reached the policy is asked for its last answer here too, but a call in that turn is refused once
  more, where the graph ignores it and ends.
- `max_turns` is the trainer's `max_tool_calling_iterations` and one more: calls in the last turn are not carried out,
  where the graph carries them out and asks for an answer.
- Names of tools that do not exist never get here: the trainer words that refusal itself. It also finds calls inside of
  a thought.
- `max_seconds` counts the seconds of the tools alone: the policy's are shared by the whole batch.
- A region for which the trainer's `max_completion_length` has no room is taken back, and the episode ends; here it was
  shown all the same.
- Calls name one of several images as their dialect does: `qwen3` by `img_idx`, `cof` by `image`, or by `view` where the
  profile has `any_view`.
- Text that spells a special token, such as `<|im_end|>`, gets a space in it: the trainer would take it for the token.
"""

from cof_agent.learning.environment.answer import answered, declined
from cof_agent.learning.environment.row import check_first_look, original_of, originals_of, rules_of
from cof_agent.learning.environment.speech import CHAT_TEMPLATE, RESPONSE_TEMPLATE, prepare, said
from cof_agent.learning.environment.zoom import Episode, ZoomEnvironment, raise_recorded

__all__ = [
    "CHAT_TEMPLATE",
    "RESPONSE_TEMPLATE",
    "Episode",
    "ZoomEnvironment",
    "answered",
    "check_first_look",
    "declined",
    "original_of",
    "originals_of",
    "prepare",
    "raise_recorded",
    "rules_of",
    "said",
]
