"""Answers that are none: the policy says that it cannot answer."""

from __future__ import annotations

import json
import re

from cof_agent.dialects.profile import DECLINE

_MARKS = "*_`~#>\"'“”‘’«»()[]{}$\\ \t\r\n-–—•·.:;,：，。"
"""What markdown, quotes and lists put around the words of an answer."""

_TRAIL = "*_`~\"'“”‘’$ \t\r\n-–—:."
"""What is left out at the end of a reason."""

_HEAD = 200
"""Characters of an answer in which the words must begin."""

_SAID = DECLINE.replace(" ", r"[\s_]+")
_WORDS = re.compile(rf"(?:(?:the |my )?(?:final )?answer\s*(?:is)?[\s:]+)?{_SAID}(?!\w)", re.I)
_AFTER = re.compile(
    r"\s*(?:\Z|[:.,;!?()\[–—…：，。-]|[\"'“”‘’»}\]]+\s*(?:\Z|[:.,;!?(–—…：，。-]))|[ \t]*\n"
    r"|\s+(?:because|since|as|due|given|from|based|without|reliably|with (?:certainty|confidence)"
    r"|(?:this|that|the|your) (?:question|query)|(?:this|that|it)\s*(?:\Z|[:.,;–—-]))(?!\w)",
    re.I,
)
"""What follows the words of a decline: an end, a mark, or the beginning of a reason."""
_EMPHASIS = re.compile(r"[*`~]{1,3}|(?<![^\W_])_{1,3}|_{1,3}(?![^\W_])")
_DRESS = re.compile(
    r"[\u200b-\u200f\u2060\ufeff]|</?(?:b|i|u|em|strong|p|div|span|code|mark|small|h[1-6])(?:\s[^<>]{0,80})?>|<br ?/?>"
    r"|\\(?:text|textbf|textit|textrm|texttt|mathrm|mathbf|emph)\s?(?=\{)",
    re.I,
)
"""Characters that are not seen, HTML and LaTeX around words."""
_FIELDS = {"answer", "final_answer", "response"}


def decline_of(answer: str) -> str | None:
    """The reason that an answer gives for being none; None where it is an answer.

    The words may stand in markdown, HTML, LaTeX, or alone in an object: `**cannot answer**: too dark`,
    `{"answer": "cannot answer"}`. A reason may be empty.
    """
    answer = _alone(answer)
    start = _DRESS.sub("", answer[:_HEAD]).lstrip(_MARKS) + answer[_HEAD:]
    start = start.lstrip(_MARKS)
    head = _EMPHASIS.sub("", start[:_HEAD]).lstrip(_MARKS)
    found = _WORDS.match(head)
    if not found:
        return None
    rest = head[found.end() :] + start[_HEAD:]
    if not _AFTER.match(rest):
        return None
    bare = rest.lstrip(_MARKS)
    before = rest[: len(rest) - len(bare)]
    if before.endswith("“") and bare.count("”") > bare.count("“"):
        bare = f"“{bare}"
    rest = bare.rstrip(_TRAIL + "”") if bare.count("”") > bare.count("“") else bare.rstrip(_TRAIL.replace("”", ""))
    return rest.rstrip("}" + _TRAIL) if rest.count("}") > rest.count("{") else rest


def _alone(answer: str) -> str:
    """The text of a JSON object that holds one answer and nothing else; any other text as it is."""
    if not answer.lstrip().startswith("{") or len(answer) > 10_000:
        return answer
    try:
        value = json.loads(answer, strict=False)
    except (ValueError, RecursionError):
        return answer
    if isinstance(value, dict) and len(value) == 1:
        ((key, text),) = value.items()
        if key.lower() in _FIELDS and isinstance(text, str):
            return text
    return answer


def declining(reason: str) -> str:
    """The answer with which a policy declines for this `reason`."""
    return f"{DECLINE}: {reason}"
