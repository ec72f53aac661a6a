"""Typed values in read text, also misread text."""

from __future__ import annotations

import pytest

from cof_agent.policies.reader.values import ValueKind, find_values, normal, resemblance

KIND = ValueKind


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Call (312) 555-0147 now", KIND.PHONE, ["(312) 555-0147"]),
        ("Tel: +49 (0)30 1234 5678", KIND.PHONE, ["+49 (0)30 1234 5678"]),
        ("DATE 12/30/2016 FRI", KIND.PHONE, []),
        ("www.harbour-ferries.org/times", KIND.URL, ["www.harbour-ferries.org/times"]),
        ("visit shop.example.com", KIND.URL, ["shop.example.com"]),
        ("S-FOOD P.CAK T1", KIND.URL, []),
        ("info@oak.example.net", KIND.URL, []),
        ("Mail: info@oak.example.net", KIND.EMAIL, ["info@oak.example.net"]),
        ("TOTAL $1,250.00", KIND.MONEY, ["$1,250.00"]),
        ("4,50 €", KIND.MONEY, ["4,50 €"]),
        ("Bread 2.35", KIND.MONEY, ["2.35"]),
        ("19:19", KIND.MONEY, []),
        ("12 March 2024", KIND.DATE, ["12 March 2024"]),
        ("2024-05-17 14:52", KIND.DATE, ["2024-05-17"]),
        ("45/67/2020", KIND.DATE, []),
        ("Mon-Fri 9:00 - 18:30", KIND.TIME, ["9:00 - 18:30"]),
        ("9am-5pm", KIND.TIME, ["9am-5pm"]),
        ("up to 70% off", KIND.PERCENT, ["70%"]),
        ("Est. 1887", KIND.YEAR, ["1887"]),
        ("SEASON 2022-23", KIND.SEASON, ["2022-23"]),
        ("Member SX-20931", KIND.CODE, ["SX-20931"]),
        ("Net Wt 450 g", KIND.QUANTITY, ["450 g"]),
    ],
)
def test_values_are_found_in_their_form(text: str, kind: ValueKind, found: list[str]) -> None:
    assert [value.text for value in find_values(text, kind)] == found


def test_the_same_phone_number_printed_twice_is_one() -> None:
    (a,), (b,) = find_values("+1 (312) 555-0147", KIND.PHONE), find_values("312.555.0147", KIND.PHONE)
    assert normal(a) == normal(b)


@pytest.mark.parametrize(
    ("text", "kind", "looks"),
    [
        ("WWW.TERLSY", KIND.URL, True),
        ("202-12", KIND.SEASON, True),
        ("EXIT", KIND.URL, False),
        ("Hello", KIND.PHONE, False),
    ],
)
def test_misread_values_still_look_like_their_kind(text: str, kind: ValueKind, looks: bool) -> None:
    assert (resemblance(text, kind) >= 0.5) is looks
