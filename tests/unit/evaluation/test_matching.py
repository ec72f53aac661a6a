from __future__ import annotations

import pytest

from cof_agent.evaluation.matching import decide, decide_by_rules
from cof_agent.evaluation.matching.options import read_options, with_options
from cof_agent.evaluation.matching.quantity import parse_quantity
from cof_agent.evaluation.question import BenchmarkQuestion
from cof_agent.evaluation.row import Rule, Verdict

BRANDS = ("Honda", "Suzuki", "Yamaha", "Kawasaki")
CARS = ("blue car", "red car", "car", "dark red car")


def asked(text: str, truth: str, *options: str) -> BenchmarkQuestion:
    return BenchmarkQuestion("1", b"", with_options(text, options) if options else text, truth, options)


def verdict(question: BenchmarkQuestion, answer: str | None) -> tuple[bool, Rule] | None:
    found = decide_by_rules(question, answer)
    return (found.correct, found.rule) if found else None


BRAND = asked("Which brand is the motorcycle?", "C", *BRANDS)


@pytest.mark.parametrize("answer", [
    "C", "c", "c.", "(C)", "(c)", "[C]", "“C”", " C\n", "C)", "C:", "**C**", "__C__", "`C`", "$C$", "（Ｃ）",
    "\\boxed{C}", "$\\boxed{\\text{C}}$", "The final answer is: $\\boxed{C}$", "<answer>C</answer>",
    "(C) Yamaha", "C. Yamaha", "C) Yamaha", "C: Yamaha", "C, Yamaha", "C - Yamaha", "C Yamaha", "c) yamaha",
    "Option C", "option (C)", "Choice: C", "Answer: (C)", "answer C", "The answer is C", "The answer is **C**.",
    "The correct answer is (C) Yamaha.", "So, the best option is C.", "My final answer is C!", "I choose option C",
    "I think the answer is C.", "The answer must be C", "(C) because its tank says so", "C. The tank says Yamaha.",
    "C\n\nThe logo is visible on the tank.", "Let me see the tank.\nC", "The tank says it. The answer is (C).",
    "Looking at the tank, the correct option is C.", "C, C", "The answer is C, not B.",
])  # fmt: skip
def test_the_ways_to_write_a_letter(answer: str) -> None:
    assert verdict(BRAND, answer) == (True, Rule.LETTER)


@pytest.mark.parametrize("answer", [
    "B", "(B) Suzuki", "The answer is B.", "A", "a.",
    "A or C", "C or D", "A, C", "C/D", "(C) and (D)", "either B or C", "both (C) and (D)", "The answer is C or D.",
    "A, B, C, D", "C, D and A", "Yamaha or Suzuki, so the answer is B.",
])  # fmt: skip
def test_another_letter_or_several_letters_are_wrong(answer: str) -> None:
    assert verdict(BRAND, answer) == (False, Rule.LETTER)


@pytest.mark.parametrize("answer", [
    "not C", "The answer is not C", "C is wrong", "It is not the case that the answer is C.",
    "If the answer is C, ask.",
    "(C) Honda", "C. Honda", "C. No wait, B", "The answer is B. Actually, the answer is C.", "B\nWait.\nC",
    "C\nOn second thought, it is B.", "Honda or Yamaha", "Yamaha and Honda", "not Yamaha", "It could be Yamaha",
    "A Yamaha or a Honda", "A Yamaha", "E", "Neither", "None of them", "I do not know", "Cat", "C++", "1", "Yam", "?",
    "The answer is A motorcycle", "A motorcycle with a red tank",
])  # fmt: skip
def test_what_is_not_certain_is_left_to_a_judge(answer: str) -> None:
    assert verdict(BRAND, answer) is None


@pytest.mark.parametrize(("answer", "right"), [
    ("Yamaha", True), ("yamaha.", True), ("The brand is Yamaha.", True), ("It is a Yamaha", True),
    ("The answer is Yamaha.", True), ("The brand of the motorcycle is Honda", False), ("HONDA", False),
])  # fmt: skip
def test_the_text_of_an_option_counts_as_that_option(answer: str, right: bool) -> None:
    assert verdict(BRAND, answer) == (right, Rule.TEXT)


@pytest.mark.parametrize(("answer", "expected"), [
    ("A red car", (True, Rule.TEXT)),  # not the letter A
    ("a red car", (True, Rule.TEXT)),
    ("The answer is A red car", (True, Rule.TEXT)),
    ("B. A red car", (True, Rule.LETTER)),
    ("It is a red car.", (True, Rule.TEXT)),
    ("A", (False, Rule.LETTER)),
    ("A car", (False, Rule.TEXT)),
    ("A blue car", (False, Rule.TEXT)),
    ("dark red car", (False, Rule.TEXT)),  # holds the right option's text
    ("It is a dark red car.", (False, Rule.TEXT)),
    ("A green car", None),
    ("A. red car", None),  # letter and text disagree
])  # fmt: skip
def test_options_that_hold_each_other(answer: str, expected: tuple[bool, Rule] | None) -> None:
    assert verdict(asked("What is in front of the shop?", "B", *CARS), answer) == expected


def test_a_letter_behind_the_text_of_its_option() -> None:
    question = asked("Which colour is it?", "B", "red", "blue", "dark blue")
    for answer in ("Blue (B)", "blue (option B).", "The answer is blue (B)", "blue [b]"):
        assert verdict(question, answer) == (True, Rule.LETTER), answer
    assert verdict(question, "dark blue (C)") == (False, Rule.LETTER)
    for answer in ("red (B)", "blue (A)", "blue (D)", "blue (A) (B)"):
        assert verdict(question, answer) is None, answer


def test_a_letter_is_a_letter_also_where_another_option_is_that_character() -> None:
    question = asked("Which character is on the star?", "C", "K", "C", "A", "7")
    assert verdict(question, "C") == (True, Rule.LETTER)
    assert verdict(question, "A") == (False, Rule.LETTER)
    assert verdict(question, "(A) K") == (False, Rule.LETTER)
    assert verdict(question, "(C) A") == (True, Rule.LETTER)
    assert verdict(question, "7") == (False, Rule.TEXT)


@pytest.mark.parametrize(("answer", "right"), [
    ("left", True), ("On the left side", True), ("right", False),
    ("The ladder is on the left side of the wagon.", True), ("The ladder is on the right side of the wagon", False),
])  # fmt: skip
def test_the_words_in_which_long_options_differ(answer: str, right: bool) -> None:
    sides = [f"The ladder is on the {side} side of the wagon." for side in ("right", "left")]
    assert verdict(asked("Is the ladder on the left or right side of the wagon?", "B", *sides), answer) == (
        right,
        Rule.TEXT,
    )


def test_the_same_words_about_the_other_thing_are_not_the_option() -> None:
    sides = [f"The ladder is on the {side} side of the wagon." for side in ("right", "left")]
    question = asked("Is the ladder on the left or right side of the wagon?", "B", *sides)
    assert verdict(question, "The wagon is on the left side of the ladder.") is None


def test_numbers_among_options() -> None:
    question = asked("What is the price?", "D", "$3.50", "$35", "$4", "$1,200")
    assert verdict(question, "1200 USD") == (True, Rule.NUMBER)
    assert verdict(question, "3.5 dollars") == (False, Rule.NUMBER)
    assert verdict(question, "$7") is None


@pytest.mark.parametrize("truth", ["C", "(C)", "Yamaha", "yamaha.", "c"])
def test_the_truth_of_a_question_with_options_may_be_letter_or_text(truth: str) -> None:
    question = asked("Which brand?", truth, *BRANDS)
    assert verdict(question, "(C)") == (True, Rule.LETTER)
    assert verdict(question, "Yamaha") == (True, Rule.TEXT)
    assert verdict(question, "B") == (False, Rule.LETTER)


def test_a_truth_that_is_no_option_is_matched_as_text() -> None:
    question = asked("Which brand?", "Ducati", *BRANDS)
    assert verdict(question, "Ducati") == (True, Rule.TEXT)
    assert verdict(question, "C") is None


@pytest.mark.parametrize(("truth", "answer"), [
    ("K", "K"), ("K", "k"), ("K", "“K”"), ("K", "**K**"), ("K", "The character is K."), ("K", "It's K"),
    ("K", "The character on the red star is K."), ("K", "It is K, on the red star."), ("A", "A"), ("A", "a"),
    ("A", "The character is A."), ("K", "The answer is K"), ("K", "The red star's character is K."),
    ("Main Street", "main street."), ("Main Street", "It says “Main Street”."), ("the dog", "A dog"),
    ("St. John's", "St John’s"), ("C++", "c++"), ("PK-14", "PK 14"), ("42", "42."), ("ﬁsh", "fish"), ("♥ 3", "♥ 3"),
    ("grey", "Gray"), ("grey", "Its color is gray."),
    ("yes", "Yes, it is."), ("no", "No."), ("no", "No, it is."), ("12:30", "12:30"), ("007", "007"), ("!", "!"),
])  # fmt: skip
def test_the_same_text(truth: str, answer: str) -> None:
    assert verdict(asked("Which character is on the red star?", truth), answer) == (True, Rule.TEXT)


@pytest.mark.parametrize(("truth", "answer"), [
    ("K", "not K"), ("K", "K or M"), ("K", "K, M"), ("K", "K and M"), ("K", "OK"), ("K", "It isn't K"),
    ("K", "Either K or nothing"), ("K", "Is it k on the star"), ("K", "maybe K"), ("K", "KM"), ("K", "anything but K"),
    ("A", "A red star"), ("A", "It is a star"), ("A", "A star"), ("A", "a red one"), ("I", "I see a star"),
    ("Main Street", "Main Street Cafe"), ("Main Street", "Street Main"), ("C++", "C"), ("PK-14", "PK14"),
    ("♥ 3", "★ 3"), ("red", "light red"), ("red", "red and blue"), ("red", "reddish"), ("no", "Yes or no"),
    ("no", "No, it is red"), ("no", "No, it isn't"), ("yes", "yes and no"), ("yes", "Yes, it is not"),
    ("12:30", "1230"), ("12:30", "12.30"), ("007", "7"), ("2-3", "23"), ("Gate A 4", "Gate 4"), ("", "anything"),
    ("!", "?"), ("10/12", "1012"), ("the", "a"),
])  # fmt: skip
def test_texts_that_are_not_certainly_the_same(truth: str, answer: str) -> None:
    assert verdict(asked("Which character is on the red star?", truth), answer) is None


SIDE = asked("Is the red star to the left or to the right of the blue circle?", "left")
HEIGHT = asked("Is the red star above or below the blue circle?", "above")


@pytest.mark.parametrize("answer", [
    "left", "Left.", "the left", "to the left", "on the left-hand side", "It is to the left.", "to the left of it",
    "It is to the left of the blue circle", "Left of the blue circle", "The star is left of the circle.",
    "The red star is on the left side of the blue circle.", "The answer is left.",
])  # fmt: skip
def test_a_side(answer: str) -> None:
    assert verdict(SIDE, answer) == (True, Rule.TEXT)


@pytest.mark.parametrize("answer", [
    "left or right", "left, not right", "not left", "It is not to the left", "neither left nor right",
    "The blue circle is to the left of the red star.", "To the left is the blue circle.", "The circle is left",
    "The blue one is left", "left of the red star", "upper left", "left and below", "The left is where the circle is",
])  # fmt: skip
def test_another_side_or_the_side_of_the_other_thing(answer: str) -> None:
    assert verdict(SIDE, answer) is None


@pytest.mark.parametrize(("truth", "answer"), [
    ("K", "M"), ("K", "The character on the red star is M."), ("k", "**7**"), ("7", "K"), ("red", "blue"),
    ("red", "It is blue."), ("grey", "black"), ("left", "right"), ("to the left", "It is to the right."),
    ("yes", "No."), ("no", "Yes, it is."), ("true", "False"),
])  # fmt: skip
def test_a_value_that_excludes_the_truth_is_wrong(truth: str, answer: str) -> None:
    assert verdict(asked("Which character is on the red star?", truth), answer) == (False, Rule.TEXT)


@pytest.mark.parametrize(("truth", "answer"), [
    ("O", "0"), ("1", "I"), ("blue", "cyan"), ("purple", "violet"), ("yellow", "golden"), ("red", "dark blue"),
    ("red", "red or blue"), ("K", "A star"), ("K", "It is a star"), ("above", "left"), ("above", "over"),
    ("yes", "No, it is red"), ("yes", "No sign is there"),
    ("K", "M or K"), ("red", "reddish"), ("K", "KM"), ("Café", "CAFE"), ("4.99", "$4.99"),
])  # fmt: skip
def test_what_may_mean_the_same_is_left_to_a_judge(truth: str, answer: str) -> None:
    assert verdict(asked("What is written there?", truth), answer) is None


def test_a_value_that_excludes_the_right_option_is_wrong() -> None:
    question = asked("Which colour is it?", "A", "red", "blue")
    assert verdict(question, "It is green.") == (False, Rule.TEXT)
    assert verdict(question, "crimson") is None
    assert verdict(asked("Which character is it?", "D", "M", "7", "A", "K"), "P") == (False, Rule.TEXT)


def test_above_and_below() -> None:
    for answer in ("above", "It is above the blue circle.", "The red star is above the blue circle", "above it"):
        assert verdict(HEIGHT, answer) == (True, Rule.TEXT), answer
    for answer in ("below", "It is below it.", "under the blue circle", "The red star is below the blue circle"):
        assert verdict(HEIGHT, answer) == (False, Rule.TEXT), answer
    for answer in ("The blue circle is above the red star", "Above the blue circle is the red star"):
        assert verdict(HEIGHT, answer) is None, answer


def test_where_both_things_are_named_before_the_sides_neither_may_be_named() -> None:
    question = asked("On which side of the blue circle is the red star, left or right?", "left")
    assert verdict(question, "It is on the left") == (True, Rule.TEXT)
    assert verdict(question, "The blue circle is on the left") is None


def test_words_of_the_question_do_not_help_where_it_names_the_truth() -> None:
    question = asked("Which of these is the largest: Tokyo, Paris or Rome?", "Tokyo")
    assert verdict(question, "It is Tokyo.") == (True, Rule.TEXT)
    assert verdict(question, "Paris, Tokyo, Rome") is None


@pytest.mark.parametrize(("truth", "answer"), [
    ("$3.5", "3.50 USD"), ("3.50 USD", "$3.5"), ("$3.5", "3.5 dollars"), ("$3.5", "US$3.50"), ("€5", "5 euros"),
    ("12 km", "12000 m"), ("12 km", "12,000 metres"), ("12 km", "12.0 kilometers"), ("90 min", "1.5 hours"),
    ("1,234", "1234"), ("1,234", "1 234"), ("1234567", "1,234,567"), ("1500000", "1.5 million"), ("42", "forty-two"),
    ("42", "Forty two."), ("forty-two", "42"), ("100", "a hundred"), ("105", "one hundred and five"), ("3", "3.0"),
    ("45%", "45 percent"), ("0.5", ".5"), ("-3", "−3.0"), ("$3.5", "The price is $3.50."),
    ("20 °C", "20 degrees Celsius"),
])  # fmt: skip
def test_the_same_number_in_the_same_unit(truth: str, answer: str) -> None:
    assert verdict(asked("What is the price or the distance?", truth), answer) == (True, Rule.NUMBER)


@pytest.mark.parametrize(("truth", "answer"), [
    ("3", "4"), ("3", "-3"), ("3", "13"), ("3", "3.5"), ("42", "24"), ("42", "forty-three"), ("$3.5", "$35"),
    ("$3.5", "€3.50"), ("$3.5", "4 USD"), ("12 km", "12 miles"), ("12 km", "12 kg"), ("12 km", "12 km/h"),
    ("12 km", "1200 m"), ("1,234", "12345"), ("45%", "54%"), ("3", "4 cars"), ("20 °C", "21 °C"),
])  # fmt: skip
def test_another_number_or_unit_is_wrong(truth: str, answer: str) -> None:
    assert verdict(asked("How many?", truth), answer) == (False, Rule.NUMBER)


@pytest.mark.parametrize(("truth", "answer"), [
    ("3", "about 3"), ("3", "3 or 4"), ("3", "more than 3"), ("3", "3 trucks"), ("3", "2 of 3"), ("3", "3 and 4"),
    ("12 km", "12"), ("12", "12 km"), ("45%", "0.45"), ("45%", "45"), ("12 km", "7.456 miles"), ("68 °F", "20 °C"),
    ("007", "7"), ("12", "1 dozen"), ("1", "1st"), ("5", "five or six"), ("3", "3-4"), ("5 pounds", "£5"),
    ("3", "I see"),
    ("12", "12 at 3"), ("5", "2 + 3"), ("1,234", "12,34"),
])  # fmt: skip
def test_numbers_that_need_a_judge(truth: str, answer: str) -> None:
    assert verdict(asked("What does it say?", truth), answer) is None


def test_what_is_counted_may_be_named_where_the_question_names_it() -> None:
    question = asked("How many cars are there?", "3")
    for answer in ("3 cars", "There are 3 cars.", "Three cars", "There are three cars.", "I see three."):
        assert verdict(question, answer) in [(True, Rule.TEXT), (True, Rule.NUMBER)], answer
    assert verdict(asked("How far is it in km?", "12 km"), "12") == (True, Rule.NUMBER)


@pytest.mark.parametrize(
    "text", ["", "cats", "12:30", "007", "3 or 4", "3-4", "one two", "$3 EUR", "3 cats and 2", "."]
)
def test_what_is_no_number(text: str) -> None:
    assert parse_quantity(text) is None


def test_a_truth_of_more_digits_than_python_reads_is_a_text() -> None:
    digits = "9" * 5000
    assert verdict(asked("How many?", digits), "42") is None
    assert verdict(asked("How many?", "42"), digits) is None


@pytest.mark.parametrize("answer", [None, "", "  \n"])
def test_no_answer(answer: str | None) -> None:
    assert verdict(BRAND, answer) == (False, Rule.UNANSWERED)


def test_options_in_a_text() -> None:
    lines = "What is it?\n(A) rubber\n(B) cotton wool\nAnswer with the option's letter from the given choices directly."
    assert read_options(lines) == ("What is it?", ("rubber", "cotton wool"))
    assert read_options("Which? (A) Honda (B) Suzuki") == ("Which?", ("Honda", "Suzuki"))
    assert read_options("Is vitamin (A) or (B) shown?\n(A) yes\n(B) no") == (
        "Is vitamin (A) or (B) shown?",
        ("yes", "no"),
    )
    for text in ("What is it?", "What is (A)?", "(B) one (C) two", "(A)\n(B) two", "f(A) (B)"):
        assert read_options(text) == (text, ())


async def test_without_a_judge_what_no_rule_decides_is_wrong() -> None:
    assert await decide(BRAND, "not C", None) == Verdict(correct=False, rule=Rule.UNMATCHED)
    assert await decide(BRAND, "C", None) == Verdict(correct=True, rule=Rule.LETTER)


@pytest.mark.parametrize("piece", ["*a", "(A) ", "a, ", "answer is (A) ", "\\boxed{", "1,000 ", "''", "or ", "A\n"])
def test_long_answers_are_read_in_no_time_or_not_at_all(piece: str) -> None:
    for length in (3900, 100_000):
        answer = (piece * length)[:length]
        for question in (BRAND, SIDE, asked("How many?", "3")):
            found = decide_by_rules(question, answer)
            assert found is None or not found.correct
