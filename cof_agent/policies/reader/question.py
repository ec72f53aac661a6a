"""What a question asks for, in terms that read text can answer.

English only. The words below are those of questions and of kinds of text; none names a brand, place or thing that a
photo may show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from cof_agent.policies.reader.options import Option, split_options
from cof_agent.policies.reader.values import ValueKind
from cof_agent.policies.reader.words import STOP, content, plain, tokens


class Form(str, Enum):
    """How the answer is to be found."""

    VALUE = "value"
    """A typed value, perhaps beside a label."""
    LABEL = "label"
    """Whatever stands beside a label."""
    NEXT = "next"
    """The text at a given side of a named text."""
    SAY = "say"
    """The most prominent text."""
    ABOUT = "about"
    """The phrase that holds given words."""
    NAME = "name"
    """What something is called: the most prominent text that can be its name."""
    YES_NO = "yes or no"
    """Whether a given text can be read."""
    PICTURE = "picture"
    """Something that text does not tell."""


COLOURS = [
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "violet",
    "pink",
    "brown",
    "black",
    "white",
    "grey",
    "gray",
    "gold",
    "golden",
    "silver",
    "cyan",
    "turquoise",
]
_RELATIONS = (
    (r"(?:to the )?left of|left from|before", "left"),
    (r"(?:to the )?right of|right from|after|following", "right"),
    (r"above|over|on top of", "above"),
    (r"below|under|underneath|beneath", "below"),
    (r"next to|beside|adjacent to|nearest to|nearest|closest to|close to|near|by|alongside|opposite", "next"),
)
_KINDS: tuple[tuple[str, ValueKind], ...] = (
    (r"e-?\s?mails?|mail address", ValueKind.EMAIL),
    (r"(?:web\s?sites?|web\s?page|web|internet|home\s?page|site)(?: (?:address|name|url))?|urls?|domain(?: name)?", ValueKind.URL),
    (r"(?:tele)?phone|mobile|fax|hotline|tel|cell", ValueKind.PHONE),
    (r"percentages?|percent|per cent|discount", ValueKind.PERCENT),
    (r"season", ValueKind.SEASON),
    (r"years?", ValueKind.YEAR),
    (r"dates?|birthday|day and month|deadline", ValueKind.DATE),
    (r"times?|hours?|o'?clock", ValueKind.TIME),
    (r"prices?|costs?|amounts?|totals?|sub-?totals?|sum|tax(?:es)?|vat|tip|fees?|fares?|balance|toll|rent|salary|deposit|surcharge|gratuity", ValueKind.MONEY),
    (r"temperature|speed|weight|distance|volume|capacity|height|length|width|voltage|wattage|power|net contents?|duration", ValueKind.QUANTITY),
    (r"codes?|(?:license|licence|number|registration) plate(?: number)?|plate number|registration|identifier|id|iban|pin|isbn", ValueKind.CODE),
    (r"numbers?|digits?|numerals?", ValueKind.NUMBER),
)  # fmt: skip
_GENERIC = frozenset(
    [
        "phone",
        "telephone",
        "mobile",
        "tel",
        "cell",
        "number",
        "numbers",
        "digits",
        "digit",
        "web",
        "website",
        "webpage",
        "site",
        "page",
        "internet",
        "home",
        "homepage",
        "address",
        "url",
        "domain",
        "name",
        "email",
        "e",
        "mail",
        "percentage",
        "percent",
        "season",
        "year",
        "years",
        "date",
        "dates",
        "time",
        "times",
        "hour",
        "hours",
        "price",
        "prices",
        "cost",
        "costs",
        "amount",
        "money",
        "numeral",
        "numerals",
        "code",
        "codes",
        "plate",
        "value",
        "words",
        "figure",
        "exact",
        "license",
        "licence",
        "full",
        "complete",
        "shown",
        "temperature",
        "speed",
        "weight",
        "distance",
    ]
)
_NAMED = r"name|names|brand|company|logo|shop|store|restaurant|caf[eé]|bar|pub|hotel|bank|bakery|pharmacy|supermarket|cinema|theat(?:re|er)|school|museum|library|street|road|avenue|square|station|stop|airline|team|band|product|model|make|manufacturer|title|book|magazine|newspaper|movie|film|event|city|town|destination|sponsor"  # fmt: skip
_PRINTED = (
    r"written|printed|displayed|shown|stated|engraved|painted|inscribed|listed|spelled|spelt|advertised|announced"
)
_TEXT = r"texts?|words?|writing|message|slogan|headline|heading|caption|inscription|lettering|letters?|motto|phrase|sentence"
_BEARER = r"sign|signs|label|poster|billboard|banner|notice|receipt|ticket|menu|plaque|placard|sticker|screen|display|board|page|letter|invoice|card|form|badge|bill|package|box|bottle|timetable|schedule|document|shirt|jersey|plate"  # fmt: skip
_WHO = r"author|writer|artist|singer|director|actor|actress|manager|owner|president|photographer|editor|publisher|producer|speaker|host|sender|recipient|cashier|server|doctor|teacher|customer|driver|sponsor|patient|performer"  # fmt: skip
_PICTURE = r"colou?rs?|kind|type|sort|animals?|materials?|shapes?|sports?|weather|mood|emotion|gender|breed|species|flowers?|fruits?|vegetables?|vehicles?|objects?|things?|person|people|man|woman|men|women|child|boy|girl|hand|side|direction|pattern|fabric|food|drink|position|furniture|clothes|hairstyle|expression|texture|background|instrument|language|font|country|room|activity|action|game|time of (?:day|year)"  # fmt: skip
_ING = re.compile(
    r"^(?:what|who|whom|which \w+)(?:'s| is| are| was| were) (?:(?:the|a|an|this|that|these|those|his|her|their) )?(?:\w+ ){1,6}?(\w{2,}ing)\b(.*)$"
)
_NOUN_ING = frozenset(
    [
        "building",
        "ceiling",
        "wedding",
        "evening",
        "morning",
        "meeting",
        "painting",
        "drawing",
        "clothing",
        "king",
        "ring",
        "string",
        "thing",
        "wing",
        "spring",
        "parking",
        "heading",
        "opening",
        "closing",
        "greeting",
        "saying",
        "reading",
        "showing",
        "displaying",
        "advertising",
        "promoting",
        "offering",
        "called",
        "selling",
        "shipping",
        "serving",
        "string",
        "landing",
        "crossing",
        "boarding",
        "catering",
        "writing",
        "lettering",
        "setting",
        "trading",
        "banking",
        "training",
        "housing",
        "warning",
        "during",
    ]
)
_YES_NO = re.compile(
    r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|isn't|doesn't|am|may|must)\b"
)
_SAYS = r"say|says|read|reads|mention|mentions|state|states|spell|include the words?|contain the (?:words?|text|phrase|name|number|letters?)|show the (?:words?|text|phrase|name|number|letters?)|have the (?:words?|text|phrase|name|number|letters?)|display the (?:words?|text|phrase|name|number|letters?)"  # fmt: skip
_NOUN_OF_WORD = r"(?:the |a |an |any )?(?:single )?(?:words?|texts?|phrase|name|number|letters?|slogan|message|term)"
_QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]{1,80})[\"“”«»]|(?:(?<=\s)|^)['‘]([^'‘’]{1,80})['’](?=\W|$)")
_LEAD = re.compile(
    r"^(?:please |hi,? |hello,? |so,? )*(?:(?:can|could|would) you (?:please )?)?(?:tell me|read out|read|find|look up|give me|show me|say|identify)\b[ ,:]*(?:me )?"
)
_STOPS_NOUN = re.compile(
    rf"\b(?:{_PRINTED}|on|in|at|of|for|from|to|with|by|that|which|next to|above|below|under|beside|near|after|before|given|visible|seen|appears?|does|do|did|is|are|was|were|has|have|can|will|should|would|stands?|must|there|here|per|you|i|we|they|it|into|about|during|according|called)\b"
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, taken apart."""

    text: str
    """As asked, without options."""
    form: Form
    kind: ValueKind | None = None
    labels: tuple[str, ...] = ()
    """Words that must name the value: "tax" in "How much is the tax?"."""
    items: tuple[str, ...] = ()
    """Words of what it is the value of: "coffee" in "the price of the coffee"."""
    hints: tuple[str, ...] = ()
    """Words that may stand nearby: where it is printed, what it is about."""
    phrase: str = ""
    """The text that a NEXT or YES_NO question names."""
    relation: str = ""
    """The side of `phrase` that NEXT asks for: next, left, right, above or below."""
    colour: str = ""
    size: str = ""
    """"large", "small" or nothing."""
    count: bool = False
    """Whether it asks how many."""
    options: tuple[Option, ...] = field(default=())

    @property
    def words(self) -> tuple[str, ...]:
        """All its content words, the binding ones first."""
        return tuple(dict.fromkeys((*self.labels, *self.items, *content(self.phrase), *self.hints)))

    @property
    def searches(self) -> bool:
        """Whether it is about text for certain, so that unread regions are worth a look."""
        return self.form not in (Form.PICTURE, Form.LABEL) and not self.count


def understand(question: str) -> Ask:
    """Take `question` apart. What is not clearly about text becomes a PICTURE question."""
    stem, options = split_options(question)
    quoted = next((a or b for a, b in _QUOTED.findall(stem)), "").strip()
    low = re.sub(r"\s+", " ", plain(stem)).strip(" .?!")
    low = _LEAD.sub("", low).strip()
    where = ""
    if match := re.match(
        r"^((?:on|in|at|according to|from|under|above|below) [^,?]*?),? (?=what|which|how|who|when|where|is|does)", low
    ):
        where, low = match.group(1), low[match.end() :]
    shared = {"colour": _colour(low + " " + where), "size": _size(low), "options": options}
    ask = _yes_no(stem, low, quoted) if _YES_NO.match(low) else None
    if ask is None and not _YES_NO.match(low) and not _about_picture(low, quoted):
        ask = _next(stem, low, quoted) or _typed(stem, low, where) or _say(stem, low, where) or _named(stem, low, where)
    ask = ask or Ask(stem, Form.PICTURE)
    return Ask(**{name: getattr(ask, name) for name in ask.__slots__} | shared)


def _colour(low: str) -> str:
    found = re.search(rf"\b({'|'.join(COLOURS)})\b(?! (?:room|line|team|house)\b)", low)
    return found.group(1) if found else ""


def _size(low: str) -> str:
    if re.search(r"\b(?:large|larger|largest|big|bigger|biggest|huge|giant|main|bold)\b", low):
        return "large"
    return "small" if re.search(r"\b(?:small|smaller|smallest|little|tiny|fine)\b", low) else ""


def _about_picture(low: str, quoted: str) -> bool:
    """Whether the question asks for what only looking at the picture tells."""
    if re.match(r"^(?:where|why)\b", low) or re.match(
        rf"^(?:what|which)(?:'s| is| are)?(?: the| a)? (?:{_PICTURE})\b(?! (?:name|number|code|says?|reads?))", low
    ):
        return True
    if re.match(r"^(?:what|which)\b.* colou?rs?\b", low) and not quoted:
        return True
    if re.match(r"^how (?!much|many|far|long|fast|heavy|tall|old|high|late|early)", low) or re.match(
        r"^how (?:old|tall|high)\b", low
    ):
        return True
    if re.match(r"^who(?:se|m)?\b", low) and not re.match(
        rf"^who(?:'s| is| are| was| were) (?:the |this |a |its |his |her )?(?:\w+ ){{0,2}}(?:{_WHO})\b", low
    ):
        return True
    match = _ING.match(low)
    return bool(
        match
        and match.group(1) not in _NOUN_ING
        and not re.match(r" (?:time|hours?|date|price|number|fee|code|address)", match.group(2))
    )


def _yes_no(stem: str, low: str, quoted: str) -> Ask | None:
    phrase = ""
    if (
        (match := re.search(rf"^(?:does|do|did|can|will)\b.*?\b(?:{_SAYS})\b[ :,]*(.+)$", low))
        or (
            match := re.search(
                rf"^(?:is|are) (?:there )?{_NOUN_OF_WORD}\b (.+?)(?: (?:{_PRINTED}|visible|readable|there|somewhere|anywhere|on|in|at)\b.*)?$",
                low,
            )
        )
        or (
            match := re.search(
                r"^(?:is|are) there .*?\b(?:that says?|that reads?|saying|reading|with the (?:words?|text|name|number)) (.+)$",
                low,
            )
        )
    ):
        phrase = match.group(1)
    elif match := re.search(rf"^(?:is|are) (.+?) (?:{_PRINTED}|mentioned)\b", low):
        phrase = (
            match.group(1) if quoted or "mentioned" in low or re.search(r"written|printed|listed|spelled", low) else ""
        )
    elif quoted and re.search(rf"\b(?:{_TEXT}|{_SAYS}|{_PRINTED}|visible|appears?)\b", low):
        phrase = quoted
    if not phrase:
        return None
    phrase = quoted or re.sub(rf"^(?:{_NOUN_OF_WORD}|the|a|an|any)\s+", "", phrase)
    hints = tuple(word for word in content(low) if word not in tokens(phrase))
    return Ask(stem, Form.YES_NO, phrase=phrase.strip(" ?.!"), hints=hints)


def _next(stem: str, low: str, quoted: str) -> Ask | None:
    """A question for the text beside a named one."""
    for pattern, relation in _RELATIONS:
        match = re.search(rf"\b(?:{pattern}) (?:the )?(?:{_NOUN_OF_WORD} )?(.+)$", low)
        if not match:
            continue
        phrase = match.group(1).strip(" ?.!'\"")
        if quoted and plain(quoted) in plain(match.group(0)):
            phrase = quoted
        named = re.match(r"[A-Z0-9]", stem[stem.lower().find(phrase[:4]) :])
        about_text = re.search(rf"\b(?:{_TEXT}|{_PRINTED}|{_SAYS}|say|read|name|number)\b", low[: match.start()])
        if not (quoted or (about_text and named)):
            continue
        kind = _kind(_asked(low[: match.start()])[0])
        kind = None if kind is ValueKind.CODE else kind
        return Ask(stem, Form.NEXT, kind, phrase=phrase, relation=relation)
    return None


def _asked(low: str) -> tuple[str, str]:
    """The noun phrase asked for and what follows it: ("total price", "on the receipt")."""
    match = re.match(
        r"^(?:at |in |on |by |from |to |for |until )?(?:what|which|whose)(?:'s| is| are| was| were)?(?: (?:the|its|their|your|this|that|a|an|his|her))? (.+)$",
        low,
    )
    match = (
        match
        or re.match(r"^who(?:'s| is| are| was| were) (?:the |this |a |its )?(.+)$", low)
        or re.match(r"^(?:the )?(.+)$", low)
    )
    rest = match.group(1) if match else low
    stop = _STOPS_NOUN.search(rest)
    return (rest[: stop.start()].strip(), rest[stop.start() :].strip()) if stop else (rest.strip(), "")


def _kind(noun: str) -> ValueKind | None:
    """The kind of value that a noun phrase names: by its last words."""
    for pattern, kind in _KINDS:
        if re.search(
            rf"\b(?:{pattern})(?: (?:number|numbers|address|due|name|payable|paid|charged|value|limit|range|off))?$",
            noun,
        ):
            return kind
    return None


def _of(rest: str, prepositions: str) -> tuple[str, ...]:
    """Content words of the phrases in `rest` that start with one of `prepositions`."""
    found = re.findall(
        rf"\b(?:{prepositions}) (.+?)(?= (?:on|in|at|from|{_PRINTED}|leaves?|departs?|arrives?|opens?|closes?|starts?|ends?|costs?)\b|$)",
        rest,
    )
    return tuple(dict.fromkeys(word for phrase in found for word in content(phrase) if word not in COLOURS))


def _typed(stem: str, low: str, where: str) -> Ask | None:
    kind: ValueKind | None
    count = False
    if match := re.match(r"^how (much|many|far|long|fast|heavy|late|early)\b(.*)$", low):
        word, rest = match.groups()
        noun = re.sub(r"^(?: (?:is|are|was|were|does|do|did|will|would|for|the|a|an|it|one|of))+\b", "", rest).strip()
        noun = re.sub(r"\b(?:costs?|weigh|paid|pay|charged|last|take|is|are|was|i)\b.*$", "", noun).strip()
        asked, _, place = noun.partition(" on the ")
        kind = {"much": ValueKind.MONEY, "late": ValueKind.TIME, "early": ValueKind.TIME, "many": ValueKind.NUMBER}.get(
            word, ValueKind.QUANTITY
        )
        if "weigh" in rest:
            kind = ValueKind.QUANTITY
        count = word == "many"
        if count:
            asked, place = re.sub(r"^(?:different )", "", rest.strip()), ""
            if re.search(r"\b(?:percent|per cent)\b", asked):
                kind, count = ValueKind.PERCENT, False
        items = tuple(word for word in content(asked) if word not in COLOURS)
        return Ask(stem, Form.VALUE, kind, items=items, hints=content(place + " " + where), count=count)
    if re.match(r"^(?:when|what day|(?:since|until|till) when)\b", low):
        hours = re.search(
            r"\b(?:open|opens|close|closes|closed|depart|departs|leave|leaves|arrive|arrives|start|starts|begin|begins|end|ends)\b",
            low,
        )
        kind = ValueKind.TIME if hours else ValueKind.DATE
        hints = tuple(word for word in content(low) if word != "day")
        return Ask(stem, Form.VALUE, kind, items=_of(low, "to|on|for|of"), hints=hints)
    noun, rest = _asked(low)
    if re.match(r"^(?:time|year|season|date) is it\b", f"{noun} {rest}") and noun != "time":
        return None
    if re.search(r"\b(?:taken|photographed|built)\b", rest) or noun in ("time of", "time of day"):
        return None
    kind = _kind(noun)
    if kind is None:
        return None
    labels = tuple(
        word
        for word in content(noun)
        if (word not in _GENERIC and word not in COLOURS and word != "total") or word == "total"
    )
    if kind is ValueKind.NUMBER and labels:
        kind = ValueKind.CODE
    if kind is ValueKind.CODE and not labels and "plate" not in noun:
        kind = ValueKind.NUMBER
    if kind is ValueKind.CODE:
        labels = tuple(word for word in labels if word not in ("registration", "identifier"))
    items = _of(rest, "of|for|to|per")
    hints = tuple(word for word in content(f"{rest} {where}") if word not in items and word not in COLOURS)
    return Ask(stem, Form.VALUE, kind, labels, items, hints)


def _say(stem: str, low: str, where: str) -> Ask | None:
    said = re.match(r"^what (?:does|do|did) (.*?)\b(?:say|read|state|spell)\b(.*)$", low)
    said = said or re.match(rf"^(?:what|which)(?:'s| is| are| was| were) (?:the )?()(?:{_PRINTED}|said)\b(.*)$", low)
    said = said or re.match(rf"^(?:what|which)(?:'s| is| are)? (?:the )?((?:\w+ ){{0,3}}(?:{_TEXT}))\b(.*)$", low)
    said = said or re.match(
        r"^(?:what(?:'s| is) on )?(?:the )?((?:\w+ ){0,3}(?:sign|label|banner|plaque|placard|sticker|notice))()(?: (?:on|in|at) .*)?$",
        low,
    )
    if not said:
        return None
    subject, rest = said.groups()
    about = re.search(r"\b(?:about|regarding|concerning) (.+)$", rest)
    if about and content(about.group(1)):
        return Ask(stem, Form.ABOUT, items=content(about.group(1)), hints=_hints(subject, where))
    return Ask(stem, Form.SAY, hints=_hints(f"{subject} {rest}", where))


def _hints(*parts: str) -> tuple[str, ...]:
    words = content(" ".join(parts))
    idle = rf"{_TEXT}|{_PRINTED}|above|below|behind|front"
    return tuple(word for word in words if word not in COLOURS and not re.fullmatch(idle, word))


def _named(stem: str, low: str, where: str) -> Ask | None:
    """A question for a name, or for whatever a label names."""
    noun, rest = _asked(low)
    words = tuple(word for word in content(noun) if word not in COLOURS)
    if not words:
        return None
    who = low.startswith("who")
    if not who and re.search(rf"\b(?:{_NAMED})$", noun) and not re.match(r"^(?:does|do|did)\b", rest):
        owner = _of(rest, "of") or tuple(
            word for word in words if word not in ("name", "names", "title", "brand", "logo")
        )
        labelled = words if noun.endswith("name") and len(words) > 1 else ()
        if re.search(r"\b(?:person|man|woman|boy|girl|player|dog|cat|animal|child|people)\b", " ".join(owner)):
            return None
        return Ask(stem, Form.NAME, labels=labelled, items=owner, hints=_hints(rest, where))
    if low.startswith("what") and re.match(r"^(?:is|are|was|were)?\b.*\bcalled$", rest):
        return Ask(stem, Form.NAME, items=words, hints=_hints(where))
    if re.match(r"^(?:what|who)(?:'s| is| are| was| were) the\b", low) and (
        who or not re.match(r"^(?:on|in|at|under|next|behind)\b", noun)
    ):
        items = tuple(word for word in _of(rest, "of|for") if word not in STOP)
        return Ask(stem, Form.LABEL, labels=words, items=items, hints=_hints(rest, where))
    return None
