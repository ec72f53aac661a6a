"""What the images of one question say together."""

from __future__ import annotations

from collections.abc import Sequence

from cof_agent.policies.reader.page.finding import Finding, ReadPage
from cof_agent.policies.reader.page.match import find_answers
from cof_agent.policies.reader.page.search import Zoom
from cof_agent.policies.reader.question.ask import Form
from cof_agent.policies.reader.question.several import ordinal
from cof_agent.policies.reader.session import Session
from cof_agent.policies.reader.words import squeeze

APART = 0.15
"""By so much the best fit must exceed that of a different answer in another image. Within one image, where a layout
tells answers apart, less will do."""
STANDS_OUT_APART = 0.4
"""The same where a question names nothing that the text must hold, so that what stands out is its answer."""

Outcome = Finding | Zoom | str | None
"""An answer, where to look closer, why there is no answer, or None where nothing was found yet."""


def together(
    found: Sequence[Outcome], scenes: Sequence[ReadPage], parts: Sequence[Session], words: str | None
) -> tuple[int, Finding | Zoom | str]:
    """The number of an image, and what follows from what was `found` in each of them.

    `words` are those by which a question asks which image it is: an answer "yes" then names its image.
    """
    doubtful = [(len(parts[at].asked), at) for at, outcome in enumerate(found) if isinstance(outcome, Zoom)]
    yes = [at for at, outcome in enumerate(found) if isinstance(outcome, Finding) and outcome.answer != "no"]
    if doubtful:
        at = min(doubtful)[1]
        zoom = found[at]
        assert isinstance(zoom, Zoom)
        return at, zoom
    if words:
        if len(yes) == 1:
            return yes[0], _finding(found[yes[0]])
        where = " and ".join(f"the {ordinal(at)}" for at in yes)
        return 0, f"“{words}” stands in {where} image" if yes else f"no image was found to say “{words}”"
    unsettled = [outcome for outcome in found if isinstance(outcome, str)]
    if not yes:
        return 0, max(unsettled, key=len) if unsettled else _finding(found[0])  # which is "no" in each of them
    best = max(yes, key=lambda at: _finding(found[at]).fit)
    answer = _finding(found[best])
    apart = STANDS_OUT_APART if answer.key == "" and scenes[best].ask.form in (Form.SAY, Form.NAME) else APART
    for at, scene in enumerate(scenes):
        rival = found[at] if at in yes else next(iter(find_answers(scene)), None)
        if (
            isinstance(rival, Finding)
            and at != best
            and _said(rival) != _said(answer)
            and rival.fit > answer.fit - apart
        ):
            said = [f"“{one}” ({ordinal(of)} image)" for of, one in sorted([(best, answer.answer), (at, rival.answer)])]
            both = " and ".join(said)
            return (
                best,
                f"the images answer differently: {both}; say which image is meant, by its number, as in "
                f"“What does image {at + 1} say?”",
            )
    return best, answer


def _finding(outcome: Outcome) -> Finding:
    assert isinstance(outcome, Finding)
    return outcome


def _said(finding: Finding) -> str:
    return finding.key or squeeze(finding.answer)
