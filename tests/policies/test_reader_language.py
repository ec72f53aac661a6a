"""What the reader takes a text for, and what it takes a question to ask for."""

from __future__ import annotations

import pytest

from cof_agent.policies.reader.ask import Form
from cof_agent.policies.reader.question import understand
from cof_agent.policies.reader.values import ValueKind, find_values


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Call (408) 391-9081 now", ValueKind.PHONE, "(408) 391-9081"),
        ("visit www.harbour-ferries.org", ValueKind.URL, "www.harbour-ferries.org"),
        ("write to info@example.org", ValueKind.EMAIL, "info@example.org"),
        ("TOTAL $60.44", ValueKind.MONEY, "$60.44"),
        ("12/30/2016 19:19", ValueKind.DATE, "12/30/2016"),
        ("12/30/2016 19:19", ValueKind.TIME, "19:19"),
        ("up to 70% off", ValueKind.PERCENT, "70%"),
        ("Season 2022-23", ValueKind.SEASON, "2022-23"),
    ],
)
def test_typed_values_are_found(text: str, kind: ValueKind, value: str) -> None:
    assert value in [found.text for found in find_values(text, kind)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("open until nine", ValueKind.PHONE),
        ("the end. Of it", ValueKind.EMAIL),
        ("all year round", ValueKind.DATE),
        ("no numbers here", ValueKind.NUMBER),
    ],
)
def test_other_text_holds_none(text: str, kind: ValueKind) -> None:
    assert not find_values(text, kind)


@pytest.mark.parametrize(
    ("question", "form"),
    [
        ("What is the phone number?", Form.VALUE),
        ('What is written next to "OPEN"?', Form.NEXT),
        ("What does the sign say?", Form.SAY),
        ('Does the sign say "closed"?', Form.YES_NO),
        ("What colour is the car?", Form.PICTURE),
        ("Is the man to the left of the woman?", Form.PICTURE),
        ("Is it day or night?", Form.PICTURE),
    ],
)
def test_questions_are_told_apart(question: str, form: Form) -> None:
    assert understand(question).form is form
