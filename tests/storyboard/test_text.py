"""Cutting a story: no letter is lost, and every scene gets its share."""

# ruff: noqa: RUF001 # full stops of many scripts
from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example_project.storyboard.phrases import Vocabulary
from example_project.storyboard.text import (
    MIN_WORDS_PER_SCENE,
    count_words,
    max_scenes,
    segments,
    split_sentences,
    words_needed,
)

PIECES = st.sampled_from(
    ["Anna went.", "Mr. Fox", "3.14", "sea", "Why?!", "“Stop!” he said.", "\n\n", "***", "他来了。",
     "a, b; c", "...", "— no", "\t", "e.g. this", "É.", "هل أنت؟", "😀"]
)  # fmt: skip
STORIES = st.one_of(
    st.lists(PIECES, max_size=60).map(" ".join), st.text(max_size=200), st.text("a. ,\n—中。?")
)


def letters(*texts: str) -> str:
    return "".join("".join(text.split()) for text in texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Smith met Dr. Jones. They left.", ["Mr. Smith met Dr. Jones.", "They left."]),
        ("J. R. R. Tolkien wrote it. Good.", ["J. R. R. Tolkien wrote it.", "Good."]),
        ("Bring some, e.g. pears. Or plums.", ["Bring some, e.g. pears.", "Or plums."]),
        ("It cost 3.14 crowns. No. 5 won.", ["It cost 3.14 crowns.", "No. 5 won."]),
        ("We met at 5 p.m. on Monday.", ["We met at 5 p.m. on Monday."]),
        ("We met at 5 p.m. The sun set.", ["We met at 5 p.m.", "The sun set."]),
        ("So did I. Then it rained.", ["So did I.", "Then it rained."]),
        ("He ran... and ran. He fell... Then", ["He ran... and ran.", "He fell...", "Then"]),
        ("Wait… no. Wait… No.", ["Wait… no.", "Wait…", "No."]),
        ('"Stop!" she cried. "Why?" He ran.', ['"Stop!" she cried.', '"Why?"', "He ran."]),
        ("“Go.” “No,” he said.", ["“Go.”", "“No,” he said."]),
        ("« Venez ! » dit-il. Il partit.", ["« Venez ! » dit-il.", "Il partit."]),
        ("他来了。她走了！「好。」", ["他来了。", "她走了！", "「好。」"]),
        ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", "نعم."]),
        ("No stop here\n\nnor here", ["No stop here", "nor here"]),
        ("One line\nof two. Next.", ["One line\nof two.", "Next."]),
    ],
)
def test_a_sentence_ends_where_a_reader_would_say(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@given(STORIES)
def test_the_sentences_hold_every_character_of_the_text(text: str) -> None:
    assert letters(*split_sentences(text)) == letters(text)


@given(STORIES, st.integers(1, 12))
def test_a_story_becomes_exactly_so_many_parts_with_words_and_nothing_is_lost(
    text: str, count: int
) -> None:
    if count_words(text) < count:
        with pytest.raises(ValueError, match="cannot be cut"):
            segments(text, count)
        return
    parts = segments(text, count)
    assert len(parts) == count
    assert all(count_words(part) for part in parts)
    assert letters(*parts) == letters(text)
    place = 0
    for part in parts:
        place = text.index(part, place) + len(part)


@given(st.lists(st.integers(1, 9), min_size=4, max_size=9), st.integers(2, 4))
def test_the_parts_are_as_equal_as_sentences_allow(sizes: list[int], count: int) -> None:
    text = " ".join(" ".join(["Word"] + ["word"] * (size - 1)) + "!" for size in sizes)
    ideal = sum(sizes) / count

    def deviation(lengths: list[int]) -> float:
        return sum((length - ideal) ** 2 for length in lengths)

    best = min(
        deviation([sum(sizes[a:b]) for a, b in zip((0, *cuts), (*cuts, len(sizes)), strict=True)])
        for cuts in combinations(range(1, len(sizes)), count - 1)
    )
    assert deviation([count_words(part) for part in segments(text, count)]) == pytest.approx(best)


def test_a_paragraph_end_is_preferred_to_a_slightly_better_balance() -> None:
    text = "a a a a a. B b b b b.\n\nC c c c c. D d d d d. E e e e e."
    assert segments(text, 2) == ["a a a a a. B b b b b.", "C c c c c. D d d d d. E e e e e."]


def test_a_single_sentence_is_cut_at_its_clauses() -> None:
    text = "The wind rose, the sails filled, the boat leaned over and the harbour fell behind"
    assert [part[-1] for part in segments(text, 3)[:2]] == [",", ","]


def test_a_sentence_without_clauses_is_cut_between_words() -> None:
    parts = segments("one two three four five six", 3)
    assert [count_words(part) for part in parts] == [2, 2, 2]


def test_an_opening_quote_stays_with_its_word() -> None:
    assert segments("one “two three” four", 2) == ["one “two", "three” four"]
    assert segments("one “two", 2) == ["one", "“two"]


def test_a_part_count_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0"):
        segments("one two", 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", 0), ("…!", 0), ("don't half-open 3.14", 3), ("sea—and sky", 3), ("他来了。", 3)],
)
def test_words_are_counted_as_a_person_would(text: str, words: int) -> None:
    assert count_words(text) == words


def test_the_number_of_scenes_that_a_story_fills_is_told() -> None:
    assert max_scenes("one two") == 0
    assert max_scenes("one two three four five six") == 2
    assert words_needed(6) == 6 * MIN_WORDS_PER_SCENE == 18


class TestPhrases:
    STORY = (
        "Captain Orla Finch loved the harbour. The copper lantern hung above the harbour. "
        "Then winter came to the valley. In the valley the copper lantern did not burn. "
        "Nobody asked Orla Finch. Nobody asks a captain in winter."
    )

    def test_names_keep_their_capitals_and_other_words_lose_those_of_the_sentence(self) -> None:
        phrases = Vocabulary(self.STORY).key_phrases(self.STORY, 20)
        assert "Orla Finch" in phrases
        assert "copper lantern" in phrases
        assert not {"Nobody", "nobody", "Then", "the"} & set(phrases)

    def test_no_word_is_in_two_phrases(self) -> None:
        phrases = Vocabulary(self.STORY).key_phrases(self.STORY, 20)
        words = [word for phrase in phrases for word in phrase.casefold().split()]
        assert len(words) == len(set(words))

    def test_a_part_is_told_from_the_rest_of_the_story(self) -> None:
        first, second = segments(self.STORY, 2)
        vocabulary = Vocabulary(self.STORY)
        assert vocabulary.key_phrases(first, 3) != vocabulary.key_phrases(second, 3)

    @given(STORIES.filter(lambda story: bool(story.strip())))
    def test_every_part_gets_a_short_title(self, story: str) -> None:
        title = Vocabulary(story).title(story)
        assert title.strip()
        assert len(title) <= 48

    def test_a_title_is_not_given_twice_while_there_is_another(self) -> None:
        vocabulary = Vocabulary(self.STORY)
        first = vocabulary.title(self.STORY)
        assert vocabulary.title(self.STORY, {first}) != first
