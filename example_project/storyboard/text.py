"""Cut a story into scenes of about equal length, at the best places, without losing a letter."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from example_project.storyboard.sentences import WORD, Span, clauses, paragraphs, sentences, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "MIN_WORDS_PER_SCENE",
    "count_words",
    "max_scenes",
    "segments",
    "split_sentences",
    "words_needed",
]

MIN_WORDS_PER_SCENE: Final = 3

# What it costs to cut at the end of ..., as a part of a segment's ideal length.
_SENTENCE: Final = 0.15
_CLAUSE: Final = 0.3
_WORD: Final = 0.6

# Places to cut times scenes; beyond it neighbouring places are merged, to stay under 0.5 s.
_MAX_WORK: Final = 200_000
_PIECES_PER_SCENE: Final = 16


def count_words(text: str) -> int:
    """Return the number of words; a character of a script without spaces counts as one."""
    return sum(1 for _ in WORD.finditer(text))


def max_scenes(text: str) -> int:
    """Return how many scenes the story can fill, 0 when it is too short for one."""
    return count_words(text) // MIN_WORDS_PER_SCENE


def words_needed(num_scenes: int) -> int:
    """Return how many words a story needs to fill `num_scenes` scenes."""
    return num_scenes * MIN_WORDS_PER_SCENE


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text in order, each without the white space around it."""
    return [text[start:end] for start, end in sentences(text)]


def segments(text: str, count: int) -> list[str]:
    """Cut a story into exactly `count` parts of consecutive sentences and about equal length.

    Every character of the story but white space is in exactly one part, in order; each part has
    at least one word. A paragraph's end is a slightly better place to cut than any sentence's. A
    story of fewer sentences than `count` is cut at clauses, and if need be between words.

    Raises:
        ValueError: `count` is below 1, or the story has fewer words than `count`.
    """
    if count < 1:
        raise ValueError(f"a story can be cut into 1 part or more, not {count}")
    total = count_words(text)
    if total < count:
        raise ValueError(f"a story of {total} word(s) cannot be cut into {count} parts")
    units = _merged(_units(text, count, total), total, count)
    cuts = _balanced([unit.words for unit in units], [unit.price for unit in units], count)
    return [
        text[units[first].span[0] : units[last - 1].span[1]] for first, last in pairwise([0, *cuts])
    ]


@dataclass(frozen=True, slots=True)
class _Unit:
    """A part of the story that is not cut further; `price` is that of a cut behind it."""

    span: Span
    words: int
    price: float


def _units(text: str, count: int, total: int) -> list[_Unit]:
    ends = {end for _, end in paragraphs(text)}

    def price(span: Span, inner: float) -> float:
        return 0.0 if span[1] in ends else inner

    units = _worded(text, ((span, price(span, _SENTENCE)) for span in sentences(text)))
    for finer, inner in (
        (lambda span: clauses(text, span), _CLAUSE),
        (lambda span: _chunks(text, span, max(1, total // (count * _PIECES_PER_SCENE))), _WORD),
    ):
        if len(units) < count:
            units = _worded(text, _refined(units, finer, inner))
    return units


def _refined(
    units: Iterable[_Unit], finer: Callable[[Span], Iterable[Span]], inner: float
) -> Iterator[tuple[Span, float]]:
    for unit in units:
        for span in finer(unit.span):
            yield span, unit.price if span[1] == unit.span[1] else inner


def _chunks(text: str, span: Span, size: int) -> Iterator[Span]:
    spans = list(words(text, span))
    for first in range(0, len(spans), size):
        piece = spans[first : first + size]
        yield piece[0][0], piece[-1][1]


def _worded(text: str, priced: Iterable[tuple[Span, float]]) -> list[_Unit]:
    """Make units that have a word each: rows of stars and the like join a neighbour."""
    units: list[_Unit] = []
    start = None
    for span, price in priced:
        number = count_words(text[span[0] : span[1]])
        if number:
            begin = span[0] if start is None else start
            units.append(_Unit((begin, span[1]), number, price))
            start = None
        elif units:
            units[-1] = _Unit((units[-1].span[0], span[1]), units[-1].words, price)
        elif start is None:
            start = span[0]
    return units


def _merged(units: list[_Unit], total: int, count: int) -> list[_Unit]:
    if len(units) * count <= _MAX_WORK:
        return units
    size = max(2, total * count // _MAX_WORK)
    merged: list[_Unit] = []
    for unit in units:
        if merged and merged[-1].words + unit.words <= size:
            span = (merged[-1].span[0], unit.span[1])
            merged[-1] = _Unit(span, merged[-1].words + unit.words, unit.price)
        else:
            merged.append(unit)
    return merged


def _balanced(sizes: Sequence[int], prices: Sequence[float], count: int) -> list[int]:
    """Return the ends of `count` runs with the least squared deviation from equal size and price.

    A run from i to j costs (sum - ideal)² + price(j). Written out in prefix sums this is linear in
    the sum up to j but for terms of i or j alone, so the best i is on a lower hull of lines that
    moves in one direction: each of the `count` rounds takes linear time.
    """
    sums = [0, *accumulate(sizes)]
    ideal = sums[-1] / count
    price = [0.0, *((share * ideal) ** 2 for share in prices)]
    best = [(end - ideal) ** 2 + extra for end, extra in zip(sums, price, strict=True)]
    origins: list[list[int]] = []
    for done in range(1, count):
        best, origin = _one_more(best, sums, price, ideal, done)
        origins.append(origin)
    cuts = [len(sizes)]
    for origin in reversed(origins):
        cuts.append(origin[cuts[-1]])
    return cuts[::-1]


def _one_more(
    best: list[float], sums: list[int], price: list[float], ideal: float, done: int
) -> tuple[list[float], list[int]]:
    """Return the costs and origins with one run more than in `best`, which has `done` of them."""
    costs, origin = [0.0] * len(sums), [0] * len(sums)
    slopes: list[float] = []  # of the lines on the hull, with what they add and where they start
    offsets: list[float] = []
    starts: list[int] = []
    first = 0
    for end in range(done + 1, len(sums)):
        at = sums[end - 1]
        slope, offset = -2.0 * at, best[end - 1] + at * at + 2.0 * at * ideal
        # A line is hidden when its neighbours meet below it.
        while len(slopes) - first > 1 and (offset - offsets[-2]) * (slopes[-2] - slopes[-1]) <= (
            offsets[-1] - offsets[-2]
        ) * (slopes[-2] - slope):
            slopes.pop()
            offsets.pop()
            starts.pop()
        slopes.append(slope)
        offsets.append(offset)
        starts.append(end - 1)
        here = sums[end]
        value = slopes[first] * here + offsets[first]
        while first + 1 < len(slopes) and slopes[first + 1] * here + offsets[first + 1] <= value:
            first += 1
            value = slopes[first] * here + offsets[first]
        costs[end] = value + (here - ideal) ** 2 + price[end]
        origin[end] = starts[first]
    return costs, origin
