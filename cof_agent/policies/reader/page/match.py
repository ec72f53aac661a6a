"""From a question and what was read to possible answers, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cof_agent.policies.reader.page.finding import Finding, ReadPage, ranked
from cof_agent.policies.reader.page.layout import blocks, words_of
from cof_agent.policies.reader.page.match_phrase import match_about, match_label, match_name, match_next, match_say
from cof_agent.policies.reader.page.match_value import match_values
from cof_agent.policies.reader.question.ask import Form
from cof_agent.policies.reader.words import phrase_match, similar, squeeze

_MATCHERS: dict[Form, Callable[[ReadPage], Iterator[Finding]]] = {
    Form.VALUE: match_values,
    Form.NEXT: match_next,
    Form.SAY: match_say,
    Form.ABOUT: match_about,
    Form.LABEL: match_label,
    Form.NAME: match_name,
}
FOUND = 0.88
"""From this match on a phrase counts as there."""


def find_answers(scene: ReadPage) -> list[Finding]:
    """Possible answers to the scene's question, best fit first, those that say the same only once."""
    ask = scene.ask
    if ask.form is Form.PICTURE:
        return []
    if ask.form is Form.YES_NO:
        return ranked(_yes(scene))
    findings = ranked(_MATCHERS[ask.form](scene))
    return ranked(_chosen(scene, findings)) if ask.options else findings


def _yes(scene: ReadPage) -> Iterator[Finding]:
    for text in scene.readable():
        match = phrase_match(scene.ask.phrase, text.text)
        if match >= FOUND:
            yield Finding("yes", match if scene.placed([text]) else 0.7 * match, (text,))
    for block in blocks(scene.readable()):
        match = phrase_match(scene.ask.phrase, words_of(block)) if len(block) > 1 else 0.0
        if match >= FOUND:
            yield Finding("yes", 0.97 * match if scene.placed(block) else 0.7 * match, tuple(block))


def says_otherwise(scene: ReadPage) -> Finding | None:
    """ "No" to a yes-or-no question: all text of any size is read, and none of it resembles the phrase."""
    readable = [text for text in scene.texts if len(squeeze(text.text)) >= 2 and scene.placed([text])]
    if not readable or any(phrase_match(scene.ask.phrase, text.text) >= 0.6 for text in scene.texts):
        return None
    if any(phrase_match(scene.ask.phrase, words_of(block)) >= 0.7 for block in blocks(readable)):
        return None
    sure = [text for text in readable if text.sure]
    if len(sure) < 0.8 * len(readable):
        return None
    prominent = max(sure, key=lambda text: text.height * len(text.text) ** 0.3)
    return Finding("no", 0.7, (prominent,))


def _chosen(scene: ReadPage, findings: list[Finding]) -> Iterator[Finding]:
    """The option that an open answer equals, or else the only one that can be read."""
    options = scene.ask.options
    for finding in findings[:3]:
        scores = sorted(((_alike(option.text, finding.answer), i) for i, option in enumerate(options)), reverse=True)
        if scores[0][0] >= 0.8 and scores[0][0] - scores[1][0] >= 0.1:
            yield Finding(str(options[scores[0][1]]), max(finding.fit, 0.62), finding.texts)
    read = []
    for option in options:
        spots = [(phrase_match(option.text, text.text), text) for text in scene.readable()]
        match, text = max(spots, key=lambda spot: (spot[0], spot[1].weight), default=(0.0, None))
        read.append((match, option, text))
    read.sort(key=lambda item: -item[0])
    match, option, text = read[0]
    if text is not None and match >= FOUND and read[1][0] < FOUND - 0.08:
        yield Finding(str(option), 0.85 * match, (text,))


def _alike(option: str, answer: str) -> float:
    longer = len(squeeze(answer)) > len(squeeze(option))
    return max(similar(option, answer), phrase_match(option, answer) * 0.97 if longer else 0.0)
