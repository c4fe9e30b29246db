"""Find where the sentences, clauses and words of a story begin and end, without changing a letter.

Everything here speaks of spans, pairs of positions in the story, so that whoever cuts the story
can show that nothing was lost.
"""

# ruff: noqa: RUF001, SIM905 # many scripts; a list of literals would take a page
from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from example_project.storyboard.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["WORD", "Span", "clauses", "paragraphs", "sentences", "words"]

Span: TypeAlias = tuple[int, int]

_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_CLOSERS: Final = "\"'”’“»›)\\]}」』】》"

# Scripts without spaces: each character counts as a word. Elsewhere a word is a letter or digit
# with all that clings to it, so that "don't", "3.14" and "half-open" count once.
WORD: Final = re.compile(rf"[{_CJK}]|[^\W_{_CJK}](?:[^\s—–…/{_CJK}]*[^\W_{_CJK}])?")

_PARAGRAPH_END: Final = re.compile(r"\n[^\S\n]*\n|\u2029")
_STOP: Final = re.compile(
    rf"(?P<stop>[.!?…‽؟۔।]+|[。！？]+)(?P<close>(?:[\u00a0\u202f ]?[»›]|[{_CLOSERS}])*)"
)
_CLAUSE_END: Final = re.compile(rf"[,;:،؛][{_CLOSERS}]*\s|[、，；：]|—|\s–\s")
_LAST_TOKEN: Final = re.compile(rf"[^\s{_CLOSERS}(\[„«—–]*$")
_NEXT_TOKEN: Final = re.compile(r"\s*([^\w\s]*)(\w[\w'’]*\.?)")

# A title always has a name after it; of the others ("etc.", "p.m.") only the next word can tell.
_TITLES: Final = frozenset(
    "mr mrs ms mx dr prof st fr sr sra capt col cmdr gen lt sgt maj rev hon gov sen rep pres mme "
    "mlle hr frau e.g i.e cf vs viz ca z.b d.h u.a bzw т.е".split()
)
_BEFORE_NUMBER: Final = frozenset("no nos nr p pp fig vol ch art sec ver п с № стр рис".split())
_OPEN_ENDED: Final = frozenset(
    "etc jr inc ltd co corp bros dept est approx ave blvd rd mt ft al et a.m p.m usw т.д т.п "
    "jan feb mar apr jun jul aug sept sep oct nov dec".split()
)


def paragraphs(text: str) -> Iterator[Span]:
    """Yield the paragraphs: what an empty line (or U+2029) separates."""
    return _between(text, (found.end() for found in _PARAGRAPH_END.finditer(text)), (0, len(text)))


def sentences(text: str) -> Iterator[Span]:
    """Yield the sentences in order; a paragraph's end always ends one.

    Together they hold every character that is not white space.
    """
    for start, end in paragraphs(text):
        yield from _between(text, _sentence_ends(text, start, end), (start, end))


def clauses(text: str, span: Span) -> Iterator[Span]:
    """Yield the parts of `span` that commas, semicolons, colons and dashes separate."""
    return _between(text, (found.end() for found in _CLAUSE_END.finditer(text, *span)), span)


def words(text: str, span: Span) -> Iterator[Span]:
    """Yield a span for each word, with the punctuation around it; together they fill `span`."""
    cuts = []
    previous = None
    for found in WORD.finditer(text, *span):
        if previous is not None:
            # Opening quotes and brackets belong to the word behind them.
            space = max(text.rfind(gap, previous, found.start()) for gap in " \n\t\u00a0\u3000")
            cuts.append(found.start() if space < 0 else space + 1)
        previous = found.end()
    return _between(text, cuts, span)


def _between(text: str, cuts: Iterable[int], span: Span) -> Iterator[Span]:
    start, last = span
    for cut in (*cuts, last):
        piece = text[start:cut]
        if stripped := piece.strip():
            left = start + piece.index(stripped[0])
            yield left, left + len(stripped)
        start = cut


def _sentence_ends(text: str, start: int, end: int) -> Iterator[int]:
    opening = start
    for found in _STOP.finditer(text, start, end):
        if _ends_sentence(text, opening, found, end):
            opening = found.end()
            yield opening


def _ends_sentence(text: str, opening: int, found: re.Match[str], end: int) -> bool:
    after = found.end()
    if found["stop"][0] in "。！？" or after == end:
        return True
    following = _NEXT_TOKEN.match(text, after, end)
    if not text[after].isspace() or following is None:
        return text[after].isspace()
    goes_on_low = following[2][0].islower()
    if goes_on_low and (found["close"] or found["stop"].startswith(("…", ".."))):
        return False
    if found["stop"] != ".":
        return True
    # Short forms are short; looking further back would make a story of dots slow.
    near = max(opening, found.start() - 40)
    last = _LAST_TOKEN.search(text[near : found.start()])
    return not _is_short_form(last[0] if last else "", following[2], near == opening)


def _is_short_form(form: str, following: str, may_be_first: bool) -> bool:
    """Tell whether the full stop behind `form` only shortens it."""
    key = form.casefold()
    starts_sentence = following.casefold() in STOP_WORDS and following[0].isupper()
    if key in _TITLES:
        return True
    if key in _BEFORE_NUMBER and following[0].isdigit():
        return True
    if key in _OPEN_ENDED:
        return not following[0].isupper() or (key in {"mt", "ft"} and not starts_sentence)
    if form.isdigit():
        return may_be_first and len(form) <= 2 and not following[0].isdigit()
    is_initial = len(form) == 1 and form.isupper() and form != "I"
    is_acronym = "." in form and all(len(part) == 1 for part in form.split("."))
    return (is_initial or is_acronym) and not starts_sentence
