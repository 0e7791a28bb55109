"""Likeness: what two models share beyond questions, lengths and manners. Where that cannot be told, no ranking."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from stillroom.base.errors import UsageError
from stillroom.probe.likeness.form import FEATURES, LARGEST_DIFFERENCE, LONGEST_RATIO, differences, form_of
from stillroom.probe.likeness.overlap import (
    LEAST_WORDS,
    LONGEST_RUN,
    MOST_WORDS,
    doubly_centred,
    overlaps,
    words_of,
)
from stillroom.probe.likeness.panel import LEAST_ANSWERED, SAME_MODEL
from stillroom.probe.likeness.ranking import DRAWS, LEAST_PANEL, LEAST_QUESTIONS, Likeness, likeness
from stillroom.probe.likeness.words import NOT_A_TEST, sentences, table

WORDS = [f"word{letter}{number}" for letter in "abcdefghijklmnop" for number in "xyz"]
QUESTIONS = {f"q{number}": f"Question {number} about wordax and wordbx?" for number in range(60)}
PANEL = ["p1", "p2", "p3", "p4", "p5", "p6"]
NAMES = ["teacher", "suspect", *PANEL]


def _answers(
    names: Sequence[str], *, seed: int, copied: float = 0.0, lengths: Mapping[str, int] | None = None
) -> dict[str, dict[str, str]]:
    """Random words; of the suspect's a share is the teacher's word at the same place."""
    draw = random.Random(seed)
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for question in QUESTIONS:
        common = draw.choices(WORDS, k=8)  # what any right answer says
        for name in names:
            length = (lengths or {}).get(name, draw.randint(26, 34))
            words = draw.choices(WORDS, k=length)
            words[:8] = [own if draw.random() < 0.3 else shared for own, shared in zip(words[:8], common, strict=True)]
            found[name][question] = " ".join(words)
        theirs = found["teacher"][question].split()
        own = found["suspect"][question].split()
        mixed = [
            theirs[place] if place < len(theirs) and draw.random() < copied else word for place, word in enumerate(own)
        ]
        found["suspect"][question] = " ".join(mixed)
    return found


def _rank(answers: Mapping[str, Mapping[str, str]], panel: Sequence[str] = PANEL) -> Likeness:
    return likeness(answers, "teacher", "suspect", panel, questions=QUESTIONS)


def test_a_suspect_that_took_words_of_the_teacher_is_the_nearest() -> None:
    found = _rank(_answers(NAMES, seed=1, copied=0.3))
    assert found.abstained == ()
    assert found.questions == len(QUESTIONS)
    assert found.panel == tuple(PANEL)
    nearest, second = found.to_teacher[:2]
    assert (nearest.name, nearest.rank, nearest.rank_high) == ("suspect", 1, 1)
    assert second.high < 0 < nearest.low  # each model's sum is zero
    assert found.to_suspect[0].name == "teacher"
    assert {each.name for each in found.to_teacher} == {"suspect", *PANEL}
    assert {each.name for each in found.to_suspect} == {"teacher", *PANEL}
    said = sentences(found)
    assert said[0] == "Of 7 models, suspect is the nearest to teacher, on 60 questions."
    assert said[-1] == NOT_A_TEST
    assert not [line for line in said if "p =" in line or "p-value" in line]
    assert len(table(found.to_teacher)) == 7


def test_who_is_nearest_among_unrelated_models_is_chance() -> None:
    ranks = []
    for seed in range(16):
        of_suspect = _rank(_answers(NAMES, seed=seed)).rank_of_suspect
        assert of_suspect is not None
        ranks.append(of_suspect.rank)
        assert of_suspect.rank_high - of_suspect.rank_low >= 2  # and it is said to be
    assert 2.5 < float(np.mean(ranks)) < 5.5  # of 7; the mean of 16 has a standard deviation of 0.5


def test_likeness_that_length_makes_is_not_ranked_when_the_panel_writes_at_another_length() -> None:
    lengths = {"teacher": 60, "suspect": 60, **dict.fromkeys(PANEL, 20)}
    found = _rank(_answers(NAMES, seed=2, lengths=lengths))
    assert found.to_teacher == ()
    assert found.to_suspect == ()
    assert found.rank_of_suspect is None
    assert list(found.panel_left_out) == PANEL
    assert all("length (20/20/20 words in quartiles" in why for why in found.panel_left_out.values())
    assert sentences(found)[:2] == [
        "No ranking.",
        "Of 6 models in the panel 0 can be compared with the suspect; below 5 a rank says nothing.",
    ]


def test_likeness_that_length_makes_vanishes_where_the_quartiles_match() -> None:
    """Teacher and suspect are long on the same questions; the panel's lengths are the same, in another order."""
    ranks, plain = [], []
    for seed in range(8):
        draw = random.Random(seed)
        lengths = [draw.choice([10, 60]) for _ in QUESTIONS]
        answers: dict[str, dict[str, str]] = {}
        for name in NAMES:
            own = lengths if name in ("teacher", "suspect") else draw.sample(lengths, len(lengths))
            answers[name] = {
                question: " ".join(draw.choices(WORDS, k=length))
                for question, length in zip(QUESTIONS, own, strict=True)
            }
        found = _rank(answers)
        assert found.rank_of_suspect is not None
        ranks.append(found.rank_of_suspect.rank)
        plain.append(_rank_by_shared_words(answers))
    assert float(np.mean(ranks)) > 2.5  # of 7: by chance 4
    assert float(np.mean(plain)) < 1.5  # as it would be without the cut


def _rank_by_shared_words(answers: Mapping[str, Mapping[str, str]]) -> int:
    """The suspect's rank by centred overlap of whole answers."""
    sets = {name: [set(text.split()) for text in own.values()] for name, own in answers.items()}
    shared = np.array([[_dice(sets[one], sets[other]) for other in NAMES] for one in NAMES])
    left = doubly_centred(shared[None])[0]
    return int(1 + (left[0, 2:] > left[0, 1]).sum())


def _dice(one: list[set[str]], other: list[set[str]]) -> float:
    return float(np.mean([2 * len(a & b) / (len(a) + len(b)) for a, b in zip(one, other, strict=True)]))


def test_overlaps_are_what_counting_by_hand_gives() -> None:
    asked = [["how", "many"], ["and", "now"]]
    answers = [
        [["how", "many", "red", "apples"], ["red", "apples", "and", "plums", "too"]],
        [["now", "red", "plums", "please"], ["red", "plums", "or", "none"]],
    ]
    found = overlaps(answers, asked)
    rare, common = np.log(3), np.log(1.5)  # in one of the two questions, in both
    # Of the first question, cut to four words: `how many` and its words are left out; `red` stands in both questions,
    # and so does `plums`.
    one = common + rare + 2 * rare + 2 * rare  # red, apples; many red, red apples; both runs of three
    other = common + 2 * rare + common + 3 * rare + 2 * rare  # red, apples, and, plums; three pairs; two runs of three
    shared = common + 2 * rare  # red, apples, red apples
    assert found[0, 0, 1] == pytest.approx(shared / np.sqrt(one * other))
    assert found[0, 1, 0] == found[0, 0, 1]
    assert np.isnan(found[:, [0, 1], [0, 1]]).all()
    assert 0 < found[1, 0, 1] < 1
    same = overlaps([[["one", "two", "three"]] * 2], [["four"]])
    assert same[0, 0, 1] == pytest.approx(1.0)


def test_what_stands_in_the_question_is_no_likeness() -> None:
    with_question = [[words_of(f"{QUESTIONS['q1']} alpha beta"), words_of(f"{QUESTIONS['q1']} gamma delta")]]
    assert overlaps(with_question, [words_of(QUESTIONS["q1"])])[0, 0, 1] == 0.0
    assert overlaps(with_question, [[]])[0, 0, 1] > 0.5
    assert overlaps([[["four"], ["four"]]], [["four"]])[0, 0, 1] == 0.0


def test_being_right_together_misleads_and_so_does_a_proxy() -> None:
    """What docs/likeness.md warns of."""
    answers = _answers(NAMES, seed=9)
    draw = random.Random(9)
    for question in QUESTIONS:
        right = draw.choices(WORDS, k=10)
        for name in ("teacher", "suspect"):  # both know what the panel does not
            answers[name][question] = " ".join([*right, *answers[name][question].split()[10:]])
    able = _rank(answers).rank_of_suspect
    assert able is not None
    assert (able.rank, able.rank_high) == (1, 1)
    proxy = _rank({**_answers(NAMES, seed=10), "suspect": _answers(NAMES, seed=10)["teacher"]}).rank_of_suspect
    assert proxy is not None
    assert (proxy.rank, proxy.rank_high) == (1, 1)


def test_a_model_that_is_near_to_everybody_is_near_to_nobody_in_particular() -> None:
    effects = np.array([0.3, 0.2, 0.1, 0.05, 0.0])
    overlaps_QMM = (0.1 + effects[:, None] + effects[None, :])[None]
    left = doubly_centred(overlaps_QMM)[0]
    assert np.allclose(left[~np.eye(5, dtype=bool)], 0.0)
    overlaps_QMM[0, 0, 1] = overlaps_QMM[0, 1, 0] = 0.9
    left = doubly_centred(overlaps_QMM)[0]
    np.fill_diagonal(left, 0.0)
    assert np.allclose(left.sum(axis=1), 0.0)
    assert left[0, 1] == left.max()


def test_a_panel_of_another_form_is_left_out_and_says_so() -> None:
    answers = _answers(NAMES, seed=4)
    answers["p1"] = {
        question: "\n".join(f"- {word}" for word in text.split()) for question, text in answers["p1"].items()
    }
    answers["p2"] = dict(list(answers["p2"].items())[:40])
    answers["p3"] = dict(answers["p4"])
    found = _rank(answers)
    assert found.panel == ("p3", "p5", "p6")
    assert "several lines (100% of its answers, the suspect's 0%)" in found.panel_left_out["p1"]
    assert "lists (100%" in found.panel_left_out["p1"]
    assert found.panel_left_out["p2"] == "it answers 40 of 60 questions"
    assert found.panel_left_out["p4"] == "it gives the same answers as p3 to 60 of 60 questions"
    assert "Of 6 models in the panel 3 can be compared" in found.abstained[0]


def test_few_questions_are_too_few_and_each_that_is_left_out_is_counted() -> None:
    answers = _answers(NAMES, seed=5)
    for question in list(QUESTIONS)[:20]:
        answers["p2"][question] = "Yes, 42."
    for question in list(QUESTIONS)[20:25]:
        answers["suspect"][question] = " "
    for name in NAMES:
        answers[name]["unknown"] = "an answer to something that nobody knows"
    found = likeness(answers, "teacher", "suspect", ["p1", "p3", "p4", "p5", "p6"], questions=QUESTIONS)
    assert found.questions == 55
    assert found.questions_left_out == {"not every model answered": 5, "the question's text is not known": 1}
    few = _rank({name: {q: own[q] for q in list(QUESTIONS)[:20]} for name, own in _answers(NAMES, seed=6).items()})
    assert few.abstained == ("20 questions can be compared; 50 are the fewest.",)
    assert few.questions_left_out == {"not every model answered": 40}


def test_names_without_answers_or_named_twice_are_refused() -> None:
    answers = _answers(NAMES, seed=7)
    with pytest.raises(UsageError, match="no answers of p9"):
        _rank(answers, [*PANEL, "p9"])
    with pytest.raises(UsageError, match="suspect is named 2 times"):
        _rank(answers, [*PANEL, "suspect"])


def test_the_same_answers_give_the_same_ranking() -> None:
    answers = _answers(NAMES, seed=8, copied=0.1)
    assert _rank(answers) == _rank({name: dict(reversed(own.items())) for name, own in answers.items()})


def test_the_page_of_documentation_says_what_is_done() -> None:
    page = " ".join((Path(__file__).parents[3] / "docs" / "likeness.md").read_text(encoding="utf-8").split())
    assert f"({', '.join(FEATURES)})".replace("reasoning in a block", "a block of reasoning") in page
    assert (LEAST_PANEL, LEAST_QUESTIONS, LEAST_WORDS, LONGEST_RATIO) == (5, 50, 5, 1.5)
    assert "fewer than five models of the panel" in page
    assert "fewer than 50 questions are left" in page
    assert "fewer than five words" in page
    assert f"by more than {100 * LARGEST_DIFFERENCE:.0f} points" in page
    assert f"fewer than {LEAST_ANSWERED:.0%}".replace("%", " %") in page
    assert f"to {SAME_MODEL:.0%}".replace("%", " %") in page
    assert f"{DRAWS:,} draws of the questions" in page
    assert f"({MOST_WORDS} at most)" in page
    assert LONGEST_RUN == 3


def test_forms() -> None:
    plain = form_of(["The sum is twelve apples."] * 4)
    assert differences(plain, plain) is None
    marked = form_of(["**The sum** is $12$.", "# Sum\n\\boxed{12}", "```\n12\n```", '{"sum": 12}'])
    said = differences(marked, form_of(["The sum is 12"] * 4))
    assert said is not None
    assert "several lines (50% of its answers, the suspect's 0%)" in said
    assert differences(form_of(["two words"]), form_of(["three words here"])) is None
    hostile = "*" * 50_000 + "|" * 50_000 + "\n" * 50_000 + "{" * 50_000 + "$" * 50_001 + "a" * 50_000
    assert form_of([hostile]).shares["several lines"] == 1.0
