"""Whether an answer is right, and which rule decided it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cof_agent.evaluation.matching.letter import chosen_option, cleaned, letter_index, without_lead
from cof_agent.evaluation.matching.options import LETTERS, read_options
from cof_agent.evaluation.matching.quantity import parse_quantity, same_quantity, says_quantity
from cof_agent.evaluation.matching.words import LONGEST, plain, same_text, says, says_rival
from cof_agent.evaluation.question import BenchmarkQuestion
from cof_agent.evaluation.row import ResultRow, Rule, Verdict

if TYPE_CHECKING:
    from cof_agent.evaluation.judge import Judge


_WRONG = Verdict(correct=False, rule=Rule.TEXT)


async def decide(
    question: BenchmarkQuestion, answer: str | None, judge: Judge | None = None, *, declined: bool = False
) -> Verdict:
    """Whether `answer` is right. Rules first; where none is certain, `judge` if there is one, else it is wrong.

    `declined` says that there is no answer because the policy declined. Raises PolicyError when the judge fails.
    """
    verdict = decide_by_rules(question, answer, declined=declined)
    if verdict is not None:
        return verdict
    if judge is None:
        return Verdict(correct=False, rule=Rule.UNMATCHED)
    truth = question.answer
    index = letter_index(truth, question.options) if question.options else None
    if index is not None:
        truth = f"({LETTERS[index]}) {question.options[index]}"
    return Verdict(correct=await judge.means(question.text, truth, answer or ""), rule=Rule.JUDGE)


def asked_in(row: ResultRow) -> BenchmarkQuestion:
    """What a row's question needs to be decided again; without its image."""
    return BenchmarkQuestion(row.question, b"", row.text, row.truth, row.options)


def decide_by_rules(question: BenchmarkQuestion, answer: str | None, *, declined: bool = False) -> Verdict | None:
    """What the rules say of `answer`, or of having `declined`; None when none is certain.

    A question that cannot be answered is right exactly if the policy declined; any other that it declined is wrong.
    """
    if question.unanswerable and (declined or answer):
        return Verdict(correct=declined, rule=Rule.DECLINED)
    if answer is None or not answer.strip():
        return Verdict(correct=False, rule=Rule.UNANSWERED)
    if len(answer) > LONGEST:
        return None
    asked, _ = read_options(question.text)
    index = letter_index(question.answer, question.options) if question.options else None
    if index is not None:
        chosen = chosen_option(answer, question.options, asked)
        if chosen:
            return Verdict(correct=chosen.index == index, rule=chosen.rule)
        return _WRONG if says_rival(without_lead(cleaned(answer)), question.options[index], asked) else None
    return _open(answer, question.answer, asked)


def _open(answer: str, truth: str, asked: str) -> Verdict | None:
    text = cleaned(answer)
    body = without_lead(text)
    if any(same_text(form, truth) for form in (text, body)) or any(says(form, truth, asked) for form in (text, body)):
        return Verdict(correct=True, rule=Rule.TEXT)
    wanted, given = parse_quantity(truth), parse_quantity(body)
    if wanted and given:
        same = same_quantity(wanted, given, plain(asked))
        return None if same is None else Verdict(correct=same, rule=Rule.NUMBER)
    if wanted and says_quantity(body, wanted, asked):
        return Verdict(correct=True, rule=Rule.NUMBER)
    return _WRONG if says_rival(body, truth, asked) else None
