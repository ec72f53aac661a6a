from __future__ import annotations

import string

from hypothesis import assume, given
from hypothesis import strategies as st

from cof_agent.evaluation.matching import decide_by_rules
from cof_agent.evaluation.matching.options import read_options, with_options
from cof_agent.evaluation.matching.quantity import parse_quantity
from cof_agent.evaluation.matching.words import same_text
from cof_agent.evaluation.question import BenchmarkQuestion
from cof_agent.evaluation.row import Rule
from tests.support.examples import examples

WORDS = ("amber", "bicycle", "cotton", "door", "engine", "flower", "glove", "hat", "iron", "jar", "kettle", "lamp")
options = st.lists(st.sampled_from(WORDS), min_size=2, max_size=6, unique=True)
FORMS = (
    "{0}", "({0})", "{0}.", "**{0}**", "\\boxed{{{0}}}", "Answer: {0}", "The answer is {0}.", "Option {0}", "({0}) {1}",
    "{0}. {1}", "{0}: {1}", "{0} {1}", "The correct answer is ({0}) {1}.", "The answer is {0}, {1}.",
)  # fmt: skip


def choice(texts: list[str], right: int) -> BenchmarkQuestion:
    letter = string.ascii_uppercase[right]
    return BenchmarkQuestion("1", b"", with_options("What is on the table?", texts), letter, tuple(texts))


@examples(60)
@given(options, st.data())
def test_every_form_of_every_letter_is_right_for_that_option_and_wrong_for_others(
    texts: list[str], data: st.DataObject
) -> None:
    right, said = (data.draw(st.integers(0, len(texts) - 1)) for _ in range(2))
    form = data.draw(st.sampled_from(FORMS))
    verdict = decide_by_rules(choice(texts, right), form.format(string.ascii_uppercase[said], texts[said]))
    assert verdict is not None
    assert verdict.correct == (said == right)
    assert verdict.rule is Rule.LETTER or form == "{0} {1}"  # "A amber" may also be its text with an article


@given(options, st.data(), st.sampled_from([" or ", ", ", "/", " and ", " & "]))
def test_two_letters_are_never_right(texts: list[str], data: st.DataObject, between: str) -> None:
    one, other = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=2, max_size=2, unique=True))
    letters = string.ascii_uppercase
    for answer in (letters[one] + between + letters[other], f"({letters[one]}){between}({letters[other]})"):
        verdict = decide_by_rules(choice(texts, one), answer)
        assert verdict is not None
        assert not verdict.correct


@given(options)
def test_options_written_into_a_question_are_read_from_it(texts: list[str]) -> None:
    assert read_options(with_options("What is it?", texts)) == ("What is it?", tuple(texts))


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_makes_it_fail_and_sameness_is_mutual(one: str, other: str) -> None:
    decide_by_rules(BenchmarkQuestion("1", b"", "What?", one), other)
    decide_by_rules(choice(["amber", "door", one.strip() or "hat"], 2), other)
    assert same_text(one, other) == same_text(other, one)
    assert same_text(one, one) == bool(one.strip())


@given(st.text(alphabet=string.ascii_letters + string.digits + " .,-", max_size=30), st.sampled_from(WORDS))
def test_a_denied_or_doubled_truth_is_never_right(noise: str, truth: str) -> None:
    question = BenchmarkQuestion("1", b"", "What is on the table?", truth)
    for answer in (f"not {truth}", f"{truth} or {noise or 'that'}", f"It is not {truth} {noise}", f"neither {truth}"):
        verdict = decide_by_rules(question, answer)
        assert verdict is None or not verdict.correct


@given(st.integers(-(10**9), 10**9), st.integers(0, 3))
def test_a_number_is_the_same_however_it_is_written(number: int, zeros: int) -> None:
    plain = parse_quantity(str(number))
    assert plain is not None
    for text in (f"{number:,}", f"{number}.{'0' * zeros}" if zeros else f"{number}.", f"{number:,} "):
        assert parse_quantity(text) == plain
    assert parse_quantity(str(number + 1)) != plain


@given(st.integers(1, 999), st.integers(1, 999))
def test_different_numbers_are_wrong_and_equal_ones_right(truth: int, given_number: int) -> None:
    question = BenchmarkQuestion("1", b"", "How many are there?", str(truth))
    verdict = decide_by_rules(question, f"{given_number}.0")
    assert verdict is not None
    assert (verdict.correct, verdict.rule) == (truth == given_number, Rule.NUMBER)


@given(st.sampled_from(WORDS), st.sampled_from(WORDS))
def test_another_text_is_never_right(truth: str, answer: str) -> None:
    assume(truth != answer)
    assert decide_by_rules(BenchmarkQuestion("1", b"", "What is it?", truth), answer) is None
