"""Tell what a part of a story is about: its key phrases and a short title, by counting words."""

# ruff: noqa: RUF001 # typographic quotes are what authors write
from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Final

from example_project.storyboard.sentences import WORD, clauses, sentences
from example_project.storyboard.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["Vocabulary"]

# A word in more than a quarter of the sentences is grammar, in whatever language it is.
_COMMON: Final = 0.25
_COMMON_FROM: Final = 12
_MAX_TITLE: Final = 48
_MAX_PHRASE: Final = 40
_POSSESSIVE: Final = re.compile(r"['’]s?$")
_EDGES: Final = " \t\n\"'“”‘’„«»‹›()[]{}.,;:!?…—–-*_#"


@dataclass(frozen=True, slots=True)
class _Token:
    key: str
    form: str
    starts_sentence: bool
    follows: bool  # with nothing but a space between it and the token before
    owns: bool  # "judge's": without its ending it makes no phrase with the next word


class Vocabulary:
    """What the words of one story are worth.

    Build it once for a story, then ask about each of its parts; both take linear time.
    """

    def __init__(self, story: str) -> None:
        self._frequency: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        inner: dict[str, Counter[str]] = {}
        initial: dict[str, Counter[str]] = {}
        self._sentences = 0
        # Title and phrases of a part are asked for one after the other.
        self._latest: tuple[str, list[_Token], dict[str, float]] | None = None
        for sentence in _tokenised(story):
            self._sentences += 1
            self._frequency.update({token.key for token in sentence})
            self._pairs.update(_pair_keys(sentence))
            for token in sentence:
                forms = initial if token.starts_sentence else inner
                forms.setdefault(token.key, Counter())[token.form] += 1
        self._forms = {
            key: _usual_form(key, inner.get(key), initial.get(key)) for key in self._frequency
        }

    def key_phrases(self, part: str, limit: int = 5) -> list[str]:
        """Return up to `limit` words and two-word phrases that set `part` apart, best first.

        Names keep the author's capital letters; no word is in two of the phrases.
        """
        tokens, weights = self._read(part)
        ranked: dict[tuple[str, ...], float] = {(key,): weight for key, weight in weights.items()}
        for pair in _pair_keys(tokens):
            if pair[0] in weights and pair[1] in weights and pair[0] != pair[1]:
                often = 1.0 if self._pairs[pair] > 1 or all(map(self._is_name, pair)) else 0.55
                ranked[pair] = often * (weights[pair[0]] + weights[pair[1]])
        chosen: list[str] = []
        used: set[str] = set()
        for keys in sorted(ranked, key=lambda keys: (-ranked[keys], keys)):
            if len(chosen) == limit:
                break
            phrase = " ".join(self._forms.get(key, key) for key in keys)
            if used.isdisjoint(keys) and len(phrase) <= _MAX_PHRASE:
                chosen.append(phrase)
                used.update(keys)
        return chosen

    def title(self, part: str, taken: Collection[str] = ()) -> str:
        """Return a title of a few words for `part` that is not in `taken`.

        The most telling short clause of the author's, else the key phrases, else the first words.
        """
        weights = self._read(part)[1]
        best, best_worth = "", 0.0
        for clause, is_opening in _short_clauses(part):
            keys = {_key(found.group()) for found in WORD.finditer(clause)}
            worth = sum(weights.get(key, 0.0) for key in keys) / (len(keys) + 1.5)
            worth *= 1.0 if is_opening else 0.6
            if worth > best_worth and _capitalised(clause) not in taken:
                best, best_worth = _capitalised(clause), worth
        if best:
            return _capitalised(best)
        phrases = self.key_phrases(part, 3)
        for title in (" and ".join(phrases[:2]), ", ".join(phrases), part.strip(_EDGES)):
            if title and _capitalised(title) not in taken:
                return _shortened(_capitalised(title))
        return _shortened(part.strip())

    def _read(self, part: str) -> tuple[list[_Token], dict[str, float]]:
        if self._latest is None or self._latest[0] != part:
            tokens = [token for sentence in _tokenised(part) for token in sentence]
            self._latest = part, tokens, self._weights(tokens)
        return self._latest[1:]

    def _weights(self, tokens: Iterable[_Token]) -> dict[str, float]:
        counts = Counter(token.key for token in tokens)
        common = max(_COMMON_FROM, self._sentences) * _COMMON
        weights = {}
        for key, count in counts.items():
            frequency = self._frequency[key]
            if key in STOP_WORDS or len(key) < 3 or key.isdigit() or frequency > common:
                continue
            rarity = log(1 + self._sentences / (1 + frequency))
            share = min(1.0, count / max(1, frequency))
            dull = 0.6 if key.endswith(("ly", "ing", "ed")) and not self._is_name(key) else 1.0
            weights[key] = dull * (1 + log(count)) * rarity * share**0.5
        return weights

    def _is_name(self, key: str) -> bool:
        return self._forms.get(key, key)[:1].isupper()


def _tokenised(text: str) -> Iterator[list[_Token]]:
    for start, end in sentences(text):
        tokens: list[_Token] = []
        previous = -1
        for found in WORD.finditer(text, start, end):
            form = _without_possessive(found.group())
            joined = not tokens or not tokens[-1].owns
            follows = previous >= 0 and joined and text[previous : found.start()] == " "
            # After a colon or an opening quote a capital letter says nothing either.
            is_first = previous < 0 or text[previous : found.start()].strip() not in {"", ","}
            owns = form != found.group()
            tokens.append(_Token(_key(form), form, is_first, follows, owns))
            previous = found.end()
        if tokens:
            yield tokens


def _key(word: str) -> str:
    return _without_possessive(word).replace("’", "'").casefold()


def _without_possessive(word: str) -> str:
    if "'" not in word and "’" not in word:
        return word
    return _POSSESSIVE.sub("", word) or word


def _pair_keys(tokens: list[_Token]) -> set[tuple[str, str]]:
    return {(left.key, right.key) for left, right in pairwise(tokens) if right.follows}


def _usual_form(key: str, inner: Counter[str] | None, initial: Counter[str] | None) -> str:
    if inner:
        return inner.most_common(1)[0][0]
    forms = initial or Counter({key: 1})
    form, count = forms.most_common(1)[0]
    # Only ever at the start of a sentence: a name if it comes again and again, else unknown.
    return form if count > 1 or form[1:] != form[1:].lower() else form[:1].lower() + form[1:]


def _short_clauses(part: str) -> Iterator[tuple[str, bool]]:
    for sentence in sentences(part):
        for number, (start, end) in enumerate(clauses(part, sentence)):
            clause = " ".join(part[start:end].strip(_EDGES).split())
            quotes = sum(clause.count(mark) for mark in '"“”«»()')
            if 2 <= len(WORD.findall(clause)) <= 7 and len(clause) <= _MAX_TITLE and not quotes:
                yield clause, number == 0


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    if len(line) <= _MAX_TITLE:
        return line
    head = line[: _MAX_TITLE - 1]
    return (head.rsplit(" ", 1)[0] if " " in head else head).rstrip(_EDGES) + "…"
