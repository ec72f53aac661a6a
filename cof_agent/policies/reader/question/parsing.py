"""From an English question to what it asks for, in terms that read text can answer."""

from __future__ import annotations

import re
from dataclasses import replace

from cof_agent.policies.reader.question import vocabulary as v
from cof_agent.policies.reader.question.ask import CharacterAsk, Form, TextAsk
from cof_agent.policies.reader.question.options import split_options
from cof_agent.policies.reader.values import ValueKind
from cof_agent.policies.reader.words import STOP, content, plain, tokens

_PLACED = re.compile(
    r"^((?:on|in|at|according to|from|under|above|below) [^,?]*?),? (?=what|which|how|who|when|where|is|does)"
)
_IS = "(?:'s| is| are| was| were)"


def understand(question: str) -> TextAsk:
    """Take `question` apart. What is not clearly about text becomes a PICTURE question."""
    stem, options = split_options(question)
    quoted = next((a or b for a, b in v.QUOTED.findall(stem)), "").strip()
    low = re.sub(r"\s+", " ", plain(stem)).strip(" .?!")
    low = re.sub(r"\b(best|use|sell) (before|by)\b", r"\1\2", v.LEAD.sub("", low).strip())
    where = ""
    if match := _PLACED.match(low):
        where, low = match.group(1), low[match.end() :]
    if v.YES_NO.match(low):
        ask = _yes_no(stem, low, quoted)
    elif _about_picture(low, quoted):
        ask = None
    else:
        ask = _next(stem, low, quoted) or _typed(stem, low, where) or _say(stem, low, where) or _named(stem, low, where)
        if ask is None and options:
            ask = TextAsk(stem, Form.SAY)  # its options may be there to be read
    everything = f"{low} {where}"
    return replace(
        ask or TextAsk(stem, Form.PICTURE),
        colour=_first(rf"\b({'|'.join(sorted(v.COLOURS))})\b(?! (?:room|line|team|house)\b)", everything),
        side=v.SIDES.get(_first(rf"\b(?:the|on|at) (?:far |very )?({'|'.join(v.SIDES)})\b(?! of\b)", everything), ""),
        size=_size(low),
        options=options,
    )


def single_character(question: str) -> CharacterAsk | None:
    """What a question asks for that wants the one character on something of a named colour; None for any other."""
    stem, options = split_options(question)
    options = tuple(replace(option, text=option.text.partition("\n")[0].strip()) for option in options)
    low = v.LEAD.sub("", re.sub(r"\s+", " ", plain(stem)).strip(" .?!")).strip()
    match = next((found for form in v.CHARACTER_FORMS if (found := form.match(low))), None)
    if match is None or (options and not all(len(option.text) == 1 for option in options)):
        return None
    noun, one = match["noun"], match.groupdict().get("one") or ""
    shape = v.SHAPES.get(noun, "")
    if not one and not shape and not options:
        return None
    words = set(re.findall(r"[a-z]+", one))
    digit, letter = bool(words & {"digit", "numeral"}), "letter" in words
    return CharacterAsk(
        stem,
        match["colour"],
        shape,
        v.SIDES.get(match["side"] or match["place"] or "", ""),
        sort="" if digit == letter else "digit" if digit else "letter",
        loose=not one and not options,
        options=options,
    )


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1) if found else ""


def _size(low: str) -> str:
    if re.search(r"\b(?:large|larger|largest|big|bigger|biggest|huge|giant|main|bold)\b", low):
        return "large"
    return "small" if re.search(r"\b(?:small|smaller|smallest|little|tiny|fine)\b", low) else ""


def _about_picture(low: str, quoted: str) -> bool:
    """Whether the question asks for what only looking at the picture tells."""
    asks = rf"^(?:what|which){_IS}?(?: the| a)? (?:{v.PICTURE})\b(?! (?:name|number|code|says?|reads?|called))"
    if re.match(r"^(?:where|why|whose|whom)\b", low) or re.match(asks, low):
        return True
    if re.match(r"^(?:what|which)\b.* colou?rs?\b", low) and not quoted:
        return True
    if low.startswith("how ") and not re.match(r"^how (?:much|many|far|long|fast|heavy|late|early)\b", low):
        return True
    if low.startswith("who"):
        return not re.match(rf"^who{_IS} (?:the |this |a |its |his |her )?(?:\w+ ){{0,2}}(?:{v.WHO})\b", low)
    match = v.ING.match(low)
    if not match or match.group(1) in v.NOUN_ING:
        return False
    return not re.match(r" (?:time|hours?|date|price|number|fee|code|address)", match.group(2))


_YES_NO_FORMS = (
    rf"^(?:does|do|did|can|will)\b.*?\b(?:{v.SAYS})\b[ :,]*(.+)$",
    rf"^(?:is|are) (?:there )?{v.SOME_TEXT}\b (.+?)"
    rf"(?: (?:{v.PRINTED}|visible|readable|there|somewhere|anywhere|on|in|at)\b.*)?$",
    r"^(?:is|are) there .*?\b(?:that says?|that reads?|saying|reading|with the (?:words?|text|name|number)) (.+)$",
    r"^(?:is|are) (.+?) (?:written|printed|listed|spelled|mentioned)\b",
)


def _yes_no(stem: str, low: str, quoted: str) -> TextAsk | None:
    """Whether a text is there to be read. Other yes-or-no questions are about the picture."""
    phrase = next((match.group(1) for form in _YES_NO_FORMS if (match := re.search(form, low))), "")
    if not phrase and quoted and re.search(rf"\b(?:{v.TEXT}|{v.SAYS}|{v.PRINTED}|visible|appears?)\b", low):
        phrase = quoted
    if not phrase:
        return None
    phrase = quoted or re.sub(rf"^(?:{v.SOME_TEXT}|the|a|an|any)\s+", "", phrase)
    hints = tuple(word for word in content(low) if word not in tokens(phrase) and word not in v.COLOURS)
    return TextAsk(stem, Form.YES_NO, phrase=phrase.strip(" ?.!"), hints=hints)


def _next(stem: str, low: str, quoted: str) -> TextAsk | None:
    """A question for the text beside a named one."""
    for pattern, relation in v.RELATIONS:
        match = re.search(rf"\b(?:{pattern}) (?:the )?(?:{v.SOME_TEXT} )?(.+)$", low)
        if not match:
            continue
        phrase = match.group(1).strip(" ?.!'\"")
        if quoted and plain(quoted) in plain(match.group(0)):
            phrase = quoted
        named = re.match(r"[A-Z0-9]", stem[stem.lower().find(phrase[:4]) :])
        about_text = re.search(rf"\b(?:{v.TEXT}|{v.PRINTED}|{v.SAYS}|name|number)\b", low[: match.start()])
        if quoted or (about_text and named):
            kind = _kind(_asked(low[: match.start()])[0])
            return TextAsk(stem, Form.NEXT, None if kind is ValueKind.CODE else kind, phrase=phrase, relation=relation)
    return None


def _asked(low: str) -> tuple[str, str]:
    """The noun phrase asked for and what follows it: ("total price", "on the receipt")."""
    determiner = "(?: (?:the|its|their|your|this|that|a|an|his|her))?"
    match = re.match(rf"^(?:(?:at|in|on|by|from|to|for|until) )?(?:what|which){_IS}?{determiner} (.+)$", low)
    match = match or re.match(rf"^who{_IS}{determiner} (.+)$", low) or re.match(r"^(?:the )?(.+)$", low)
    rest = match.group(1) if match else low
    stop = v.END_OF_NOUN.search(rest)
    return (rest[: stop.start()].strip(), rest[stop.start() :].strip()) if stop else (rest.strip(), "")


def _kind(noun: str) -> ValueKind | None:
    """The kind of value that a noun phrase names: by its last words."""
    return next((kind for nouns, kind in v.KINDS if re.search(rf"\b(?:{nouns})(?: (?:{v.AFTER_KIND}))?$", noun)), None)


def _of(rest: str, prepositions: str) -> tuple[str, ...]:
    """Content words of the phrases in `rest` that start with one of `prepositions`."""
    end = rf"(?= (?:on|in|at|from|{v.PRINTED}|{v.HOURS}|costs?)\b|$)"
    found = re.findall(rf"\b(?:{prepositions}) (.+?){end}", rest)
    return tuple(dict.fromkeys(word for phrase in found for word in content(phrase) if word not in v.COLOURS))


def _typed(stem: str, low: str, where: str) -> TextAsk | None:
    """A question for a typed value."""
    if match := re.match(r"^what (?:does|do|did|would|will) (.+?) cost\b(.*)$", low):
        items, hints = _bare(match.group(1)), _bare(f"{match.group(2)} {where}")
        return TextAsk(stem, Form.VALUE, ValueKind.MONEY, items=items, hints=hints)
    if match := re.match(r"^how (much|many|far|long|fast|heavy|late|early)\b(.*)$", low):
        return _how(stem, match.group(1), match.group(2), where)
    if re.match(r"^(?:when|what day|(?:since|until|till) when)\b", low):
        clock = re.search(rf"\b(?:{v.HOURS}|boarding|departure|arrival|opening|closing)\b", low)
        kind = ValueKind.TIME if clock else ValueKind.DATE
        hints = tuple(word for word in content(low) if word != "day")
        return TextAsk(stem, Form.VALUE, kind, items=_of(low, "to|on|for|of"), hints=hints)
    noun, rest = _asked(low)
    if re.match(r"^(?:year|season|date) (?:is|was) (?:it|this)\b", f"{noun} {rest}"):
        return None
    if re.search(r"\b(?:taken|photographed|built)\b", rest):
        return None
    if re.fullmatch(v.NUMBERED, noun) and re.match(
        r"^(?:(?:at|on|from|in) )?(?:what|which)\b(?! (?:is|are) (?:on|in)\b)", low
    ):
        goals = " ".join(re.findall(r"\b(?:to|for|of) (?:the )?(\w+(?: \w+)?)(?= |$)", rest))
        return TextAsk(stem, Form.VALUE, ValueKind.CODE, (noun,), _bare(goals), _bare(f"{rest} {where}"))
    found = _kind(noun)
    if found is None:
        return None
    labels = tuple(word for word in _bare(noun) if word not in v.GENERIC)
    if found is ValueKind.NUMBER and labels:
        found = ValueKind.CODE
    elif found is ValueKind.CODE and not labels and "plate" not in noun:
        found = ValueKind.NUMBER
    items = _of(rest, "of|for|to|per")
    if found is ValueKind.TIME:
        items += tuple(re.findall(rf"\b(?:{v.WEEKDAYS})\b", f"{rest} {where}"))
    hints = tuple(word for word in _bare(f"{rest} {where}") if word not in items)
    return TextAsk(stem, Form.VALUE, found, labels, tuple(dict.fromkeys(items)), hints)


def _bare(text: str) -> tuple[str, ...]:
    """Content words but colours, which are looked for in the picture."""
    return tuple(word for word in content(text) if word not in v.COLOURS)


_HOW = {
    "much": ValueKind.MONEY, "late": ValueKind.TIME, "early": ValueKind.TIME, "many": ValueKind.NUMBER,
}  # fmt: skip


def _how(stem: str, how: str, rest: str, where: str) -> TextAsk:
    """How much, how many, how far and the like."""
    kind, count = _HOW.get(how, ValueKind.QUANTITY), how == "many"
    if "weigh" in rest:
        kind = ValueKind.QUANTITY
    asked, place = rest.strip(), ""
    if not count:
        asked = re.sub(r"^(?:(?:is|are|was|were|does|do|did|will|would|for|the|a|an|it|one|of)\b ?)+", "", asked)
        asked = re.sub(r"\b(?:costs?|weigh|paid|pay|charged|given|last|take|is|are|was|i)\b.*$", "", asked)
        asked, _, place = asked.partition(" on the ")
    elif re.match(r"^(?:percent|per cent)\b", asked):
        kind, count, asked = ValueKind.PERCENT, False, ""
    elif unit := re.match(rf"^(?:{v.MEASURES})\b(.*)$", asked):
        kind, count, asked = ValueKind.QUANTITY, False, re.sub(r"\b(?:away|left|long)\b", "", unit.group(1))
    return TextAsk(stem, Form.VALUE, kind, items=_bare(asked), hints=_bare(f"{place} {where}"), count=count)


_SAY_FORMS = (
    r"^what (?:does|do|did) (.*?)\b(?:say|read|state|spell)\b(.*)$",
    rf"^(?:what|which){_IS} (?:the )?()(?:{v.PRINTED}|said)\b(.*)$",
    rf"^(?:what|which){_IS}? (?:the )?((?:\w+ ){{0,3}}(?:{v.TEXT}))\b(.*)$",
    rf"^(?:what{_IS} on )?(?:the )?((?:\w+ ){{0,3}}(?:{v.BEARER})s?)()(?: (?:on|in|at) .*)?$",
)


def _say(stem: str, low: str, where: str) -> TextAsk | None:
    """A question for the text as such."""
    said = next((match for form in _SAY_FORMS if (match := re.match(form, low))), None)
    if not said:
        return None
    subject, rest = said.groups()
    if re.search(rf"\b(?:{v.HEADING})$", subject.strip()):
        return TextAsk(stem, Form.NAME, labels=("title",), hints=_hints(rest, where))
    about = re.search(r"\b(?:about|regarding|concerning) (.+)$", rest)
    if about and content(about.group(1)):
        return TextAsk(stem, Form.ABOUT, items=content(about.group(1)), hints=_hints(subject, where))
    itself = re.search(rf"\b(?:{v.TEXT}|{v.BEARER})\b", subject)
    return TextAsk(
        stem,
        Form.SAY,
        bearer=() if itself else _hints(subject),
        hints=_hints(f"{subject} {rest}", where),
    )


def _hints(*parts: str) -> tuple[str, ...]:
    idle = rf"{v.TEXT}|{v.PRINTED}|{v.BEARER}|above|below|behind|front"
    return tuple(word for word in _bare(" ".join(parts)) if not re.fullmatch(idle, word))


def _named(stem: str, low: str, where: str) -> TextAsk | None:
    """A question for a name, or for whatever a label names."""
    noun, rest = _asked(low)
    words, who = _bare(noun), low.startswith("who")
    if not words:
        return None
    if low.startswith("what") and rest == "called":
        return TextAsk(stem, Form.NAME, items=words, hints=_hints(where))
    head = words[-1]
    named = re.search(r"\bname|^(?:what|which) (?!is |are |was |were )", low) or head in v.BY_LABEL or head == "logo"
    if not who and named and re.search(rf"\b(?:{v.NAMED})$", noun) and not re.match(r"^(?:does|do|did)\b", rest):
        idle = {"name", "names", "logo", *v.BY_LABEL}
        owner = _of(rest, "of") or tuple(word for word in words if word not in idle)
        if re.search(rf"\b(?:{v.PERSON})\b", " ".join(owner)):
            return None
        labels = words if head == "name" and len(words) > 1 else (head,) if head in v.BY_LABEL else ()
        return TextAsk(stem, Form.NAME, labels=labels, items=owner, hints=_hints(rest, where))
    if re.match(rf"^(?:what|who){_IS} the\b", low) and (who or not re.match(r"^(?:on|in|at|under|behind)\b", noun)):
        items = tuple(word for word in _of(rest, "of|for") if word not in STOP)
        return TextAsk(stem, Form.LABEL, labels=words, items=items, hints=_hints(rest, where))
    return None
