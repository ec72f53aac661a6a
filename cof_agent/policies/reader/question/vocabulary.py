"""The English of questions: words for kinds of text, for asking and for placing. No names of anything."""

from __future__ import annotations

import re

from cof_agent.policies.reader.values import ValueKind
from cof_agent.policies.reader.words import words_in


def either(phrases: str) -> str:
    """A regular expression for any of `phrases`, parted by commas or line ends."""
    return "|".join(phrase.strip() for phrase in re.split(r",|\n", phrases) if phrase.strip())


COLOURS = words_in(
    "red orange yellow green blue purple violet pink brown black white grey gray gold golden silver cyan turquoise"
)
RELATIONS = (
    ("(?:to the )?left of|left from|before", "left"),
    ("(?:to the )?right of|right from|after|following", "right"),
    ("above|over|on top of", "above"),
    ("below|under|underneath|beneath", "below"),
    ("next to|beside|adjacent to|nearest to|nearest|closest to|close to|near|by|alongside|opposite", "next"),
)
SIDES = {
    "left": "left", "right": "right", "top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom",
    "middle": "middle", "centre": "middle", "center": "middle", "central": "middle",
}  # fmt: skip

PRINTED = either(
    "written, printed, displayed, shown, stated, engraved, painted, inscribed, listed, spelled, spelt, advertised, "
    "announced"
)
TEXT = either(
    """texts?, words?, writing, message, slogan, headline, heading, caption, inscription, lettering, letters?, motto
    phrase, sentence"""
)
BEARER = either("sign, label, banner, plaque, placard, sticker, notice")
"""What is there to be read, so that "what is on it" asks for its text."""
SOME_TEXT = "(?:the |a |an |any )?(?:single )?(?:words?|texts?|phrase|name|number|letters?|slogan|message|term)"
SAYS = either("says?, reads?, mentions?, states?, spell") + "|" + rf"(?:include|contain|show|have|display) {SOME_TEXT}"
NAMED = either(
    """names?, brand, company, logo, shop, store, restaurant, caf[eé], bar, pub, hotel, bank, bakery, pharmacy
    supermarket, cinema, theat(?:re|er), school, museum, library, street, road, avenue, square, station, stop, airline
    team, band, product, model, make, manufacturer, title, book, magazine, newspaper, movie, film, event, city, town
    destination, sponsor"""
)
BY_LABEL = words_in("title brand make manufacturer model")
"""Names that a form may put behind a label of their own."""
WHO = either(
    """author, writer, artist, singer, director, actor, actress, manager, owner, president, photographer, editor
    publisher, producer, speaker, host, sender, recipient, cashier, server, doctor, teacher, customer, driver, sponsor
    patient, performer"""
)
"""Roles that print names; who does something in the picture is another matter."""
PERSON = either("person, man, woman, boy, girl, player, dog, cat, animal, child, people, baby, lady, guy")
PICTURE = either(
    rf"""colou?rs?, kind, type, sort, materials?, shapes?, sports?, weather, mood, emotion, gender, breed, species
    flowers?, fruits?, vegetables?, vehicles?, objects?, things?, {PERSON.replace("|", ",")}, animals?, men, women, hand
    side, direction, pattern, fabric, food, drink, position, furniture, clothes, hairstyle, expression, texture
    background
    instrument, language, font, country, activity, action, game, time of (?:day|year), plant, tree, building"""
)
"""What is asked for in questions that only the look of things answers."""
NOUN_ING = words_in(
    """building ceiling wedding evening morning meeting painting drawing clothing king ring string thing wing spring
    parking heading opening closing greeting saying reading showing displaying advertising promoting offering selling
    shipping serving landing crossing boarding catering writing lettering setting trading banking training housing
    warning during"""
)
"""Words in -ing that are nouns, or tell what a text does; others tell what somebody does in the picture."""

MEASURES = either(
    """kilomet(?:re|er)s?, km, miles?, met(?:re|er)s?, feet, minutes?, hours?, days?, grams?, kilograms?, kg
    lit(?:re|er)s?, watts?, volts?, degrees?"""
)
WEEKDAYS = either("(?:mon|tues|wednes|thurs|fri|satur|sun)days?, weekdays?, weekends?, holidays?")
NUMBERED = either(
    """platform, gate, track, room, floor, level, seat, row, aisle, terminal, exit, route, line, lane, bay, unit, suite
    apartment, page, chapter, channel"""
)
"""What is told apart by a number or a short code."""
HEADING = either("headline, heading, title, header")
HOURS = either("opens?, close[sd]?, departs?, leaves?, arrives?, starts?, begins?, ends?")

KINDS: tuple[tuple[str, ValueKind], ...] = (
    (r"e-?\s?mails?|mail address", ValueKind.EMAIL),
    (
        r"(?:web\s?sites?|web\s?page|web|internet|home\s?page|site)(?: (?:address|name|url))?|urls?|domain",
        ValueKind.URL,
    ),
    ("(?:tele)?phone|mobile|fax|hotline|tel|cell", ValueKind.PHONE),
    ("percentages?|percent|per cent|discount", ValueKind.PERCENT),
    ("season", ValueKind.SEASON),
    ("years?", ValueKind.YEAR),
    ("dates?|birthday|day and month|deadline", ValueKind.DATE),
    ("times?|hours?|o'?clock", ValueKind.TIME),
    (
        either(
            """prices?, costs?, amounts?, totals?, sub-?totals?, sum, tax(?:es)?, vat, tip, fees?, fares?, balance, toll
            rent, salary, deposit, surcharge, gratuity"""
        ),
        ValueKind.MONEY,
    ),
    (
        either(
            """temperature, speed, weight, distance, volume, capacity, height, length, width, voltage, wattage, power
            net contents?, duration"""
        ),
        ValueKind.QUANTITY,
    ),
    (
        either(
            """codes?, (?:license|licence|number|registration) plate(?: number)?, plate number, registration, identifier
            id, iban, pin, isbn"""
        ),
        ValueKind.CODE,
    ),
    ("numbers?|digits?|numerals?", ValueKind.NUMBER),
)
"""Nouns for kinds of values, the more telling first."""
AFTER_KIND = either("number, numbers, address, due, name, payable, paid, charged, value, limit, range, off")
GENERIC = words_in(
    """phone telephone mobile tel cell number numbers digits digit web website webpage site page internet home homepage
    address url domain name email e mail percentage percent season year years date dates time times hour hours price
    prices cost costs amount money numeral numerals code codes plate value discount words figure exact license licence
    full complete shown"""
)
"""Nouns that tell the kind of a value; they need not stand beside it."""

YES_NO = re.compile(
    rf"^(?:{either('is, are, was, were, do, does, did, has, have, had, can, could, will, would, should, may, must')})\b"
)
ING = re.compile(
    r"^(?:what|who|whom|which \w+)(?:'s| is| are| was| were) (?:(?:the|a|an|this|that|these|those|his|her|their) )?"
    r"(?:\w+ ){1,6}?(\w{2,}ing)\b(.*)$"
)
QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]{1,80})[\"“”«»]|(?:(?<=\s)|^)['‘]([^'‘’]{1,80})['’](?=\W|$)")
LEAD = re.compile(
    r"^(?:please |hi,? |hello,? |so,? )*(?:(?:can|could|would) you (?:please )?)?"
    r"(?:tell me|read out|read|find|look up|give me|show me|say|identify)\b[ ,:]*(?:me )?"
)
END_OF_NOUN = re.compile(
    rf"\b(?:{PRINTED}|"
    + either(
        """on, in, at, of, for, from, to, with, by, that, which, next to, above, below, under, beside, near, after
        before, given, visible, seen, appears?, does, do, did, is, are, was, were, has, have, can, will, should, would
        stands?, must, there, here, per, you, i, we, they, it, into, about, during, according, called"""
    )
    + r")\b"
)
"""Where the noun that is asked for ends."""

SHAPES = {
    "circle": "circle", "disc": "circle", "disk": "circle", "dot": "circle", "ball": "circle", "oval": "oval",
    "ellipse": "oval", "square": "square", "rectangle": "rectangle", "triangle": "triangle", "star": "star",
    "diamond": "diamond", "rhombus": "diamond", "pentagon": "pentagon", "hexagon": "hexagon", "octagon": "octagon",
    "cross": "cross", "plus": "cross", "heart": "heart",
}  # fmt: skip
"""Nouns for shapes, and the outlines they mean."""
_SIDE = "|".join(SIDES)
_COLOURED = (
    rf"(?:the|a|that|this) (?:(?:large|big|small|little|tiny|single) )?(?:(?P<side>{_SIDE})(?:most)? )?"
    rf"(?P<colour>{'|'.join(sorted(COLOURS))})(?: coloured| colored)? (?P<noun>[a-z]+)"
)
_PLACE = (
    r"(?: (?:in|of) (?:the|this) (?:picture|image|photo|photograph|scene|view))?"
    rf"(?: (?:on|at|in) the (?P<place>{_SIDE})(?: side)?)?$"
)
_KINDS = "(?:character|letter|digit|numeral|symbol|glyph)"
_ONE = rf"(?P<one>(?:single |one |capital |printed )*{_KINDS}(?: or (?:a )?(?:single )?(?:{_KINDS}|number))?)"
_CARRY = "(?:carry|show|bear|have|display|contain|hold)"
_THE_ONE = _ONE.replace("single |one ", "single ")
_LIES = rf"(?:(?:can be (?:read|seen)|stands|appears|{PRINTED}|visible|readable|there) )?"
CHARACTER_FORMS = (
    re.compile(
        rf"^(?:what|which)(?:'s| is)?(?: the)? {_ONE} (?:is |that is )?{_LIES}(?:on|in|inside) {_COLOURED}{_PLACE}"
    ),
    re.compile(rf"^(?:what|which) {_ONE} does {_COLOURED} {_CARRY}{_PLACE}"),
    re.compile(
        rf"^(?:one|a|there is (?:one|a)) {_THE_ONE} (?:is )?{_LIES}(?:on|in) {_COLOURED}"
        r"(?P<place>)[.,;:]? (?:which(?: one)?|what) is it$"
    ),
    re.compile(rf"^what(?:'s| is)(?: there)? {_LIES}(?:on|in|inside) {_COLOURED}{_PLACE}"),
)
"""Questions for one character on something of a colour; the last one's words may ask for more."""
