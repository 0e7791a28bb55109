"""References: a plan fixes which they are, and they leave the test as exact as it is without them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from tests.probe.drawn_teacher import Draw, answers, colder, copies_the_question, siblings, teacher
from tests.probe.probes import ask, make_probe, planned, served, signer, something_else
from tests.probe.test_verification import signed_again

from stillroom.base.errors import DataError
from stillroom.probe.caveats import could_be_wrong
from stillroom.probe.closeness import closeness
from stillroom.probe.measures import MEASURES, PRIMARY
from stillroom.probe.opening import Opened, open_plan
from stillroom.probe.planning import Planned
from stillroom.probe.references import usable_texts
from stillroom.probe.statement import Statement
from stillroom.probe.swap_test import swap_test
from stillroom.probe.units import units_of
from stillroom.probe.verification import verify_bundle
from stillroom.probe.words import references_in_words
from stillroom.store.siblings import Answer, Opening, Pair, read_rows, write_rows

PAIRS, TOSSES, CERTAIN = 100, 150, 1e-5
REFERENCES = usable_texts(answers(teacher, 51, 4, PAIRS))
THIRDS = "thirds.parquet"


def test_to_exchange_siblings_changes_the_sign_exactly() -> None:
    pairs, said = siblings(52, PAIRS), usable_texts(answers(teacher, 53, 3, PAIRS))
    exchanged = [
        replace(pair, first=pair.second, second=pair.first) if number % 3 else pair for number, pair in enumerate(pairs)
    ]
    signs_N = np.where(np.arange(PAIRS) % 3, -1.0, 1.0)
    for measure in MEASURES.values():
        beside_N = measure.differences(pairs, said, references=REFERENCES)
        assert np.array_equal(measure.differences(exchanged, said, references=REFERENCES), signs_N * beside_N)
    alone_N = MEASURES[PRIMARY].differences(pairs, said)
    assert not np.array_equal(alone_N, MEASURES[PRIMARY].differences(pairs, said, references=REFERENCES))


@pytest.mark.parametrize("of", [teacher, colder, copies_the_question])
def test_an_innocent_is_accused_no_more_often_than_the_level_says(of: Draw) -> None:
    """The teacher itself, a proxy that asks it with less chance, and one that says nothing of its own."""
    pairs = siblings(54, PAIRS)
    said = usable_texts(answers(of, 55, 2, PAIRS))
    differences_N = MEASURES[PRIMARY].differences(pairs, said, references=REFERENCES)
    coins = np.random.default_rng(8).integers(0, 2, (TOSSES, PAIRS)).astype(np.int8)
    found = [swap_test(differences_N, coins_N, units_of(pairs)).p_value for coins_N in coins]
    for level in (0.01, 0.05, 0.2):
        assert sum(p_value <= level for p_value in found) <= binom.isf(CERTAIN, TOSSES, level)


def test_what_anybody_says_is_taken_off() -> None:
    """The nearer the suspect is to the teacher, the more of its differences further replies of the teacher foretell."""
    pairs, said = siblings(56, PAIRS), usable_texts(answers(teacher, 57, 3, PAIRS))
    measure = MEASURES["ngrams"]
    alone_N, beside_N = measure.differences(pairs, said), measure.differences(pairs, said, references=REFERENCES)
    assert np.var(beside_N) < 0.8 * np.var(alone_N)


def test_references_do_not_speak_for_answers_that_say_nothing() -> None:
    """One pair in ten has an answer that leans. The others would have what a slope makes of the references alone."""
    pairs = siblings(61, PAIRS)
    said = {
        pair.question_id: [pair.first if number % 10 == 0 else "I cannot say."] for number, pair in enumerate(pairs)
    }
    for measure in MEASURES.values():
        alone_N = measure.differences(pairs, said)
        beside_N = measure.differences(pairs, said, references=REFERENCES)
        assert not beside_N[alone_N == 0].any()
        assert np.count_nonzero(beside_N) >= PAIRS // 10


def test_of_several_third_draws_one_stands_for_the_teacher() -> None:
    pairs, said, thirds = siblings(58, PAIRS), answers(teacher, 59, 2, PAIRS), answers(teacher, 60, 4, PAIRS)
    first = [each for each in thirds if each.sample == 0]
    assert closeness(pairs, said, thirds[::-1]) == closeness(pairs, said, first)
    failed = [replace(each, text="") if each.sample == 0 else each for each in thirds]
    assert closeness(pairs, said, failed) == closeness(pairs, said, [each for each in thirds if each.sample == 1])


# --- from the plan to the bundle ------------------------------------------------------------------------------------


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    return make_probe(tmp_path / "probe", 30)


def draw_thirds(probe: Path, salt: str = "", samples: int = 3) -> None:
    pairs = read_rows(probe / "pairs.parquet", Pair)
    write_rows(probe / THIRDS, Answer, [third(pair, sample, salt) for pair in pairs for sample in range(samples)])


def third(pair: Pair, sample: int, salt: str) -> Answer:
    words = something_else(replace(pair, question_id="sha256:" + f"{sample + 77:08d}"), 0).split()
    return Answer(pair.question_id, sample, " ".join([*pair.first.split()[:9], *words[:20], salt]), "stop", 5)


def opened(probe: Path, made: Planned, folder: Path) -> Opened:
    return open_plan(probe, made.plan.name, ask(made.pack, probe, folder), signer(probe), "Olga")


def test_a_plan_fixes_those_that_there_are_and_later_ones_change_nothing(probe: Path, tmp_path: Path) -> None:
    draw_thirds(probe)
    made = planned(probe)
    assert made.plan.references_digest is not None
    assert made.references == 90
    draw_thirds(probe, "later")
    found = opened(probe, made, tmp_path / "answers")
    verified = verify_bundle(found.bundle)
    assert verified.problems == []
    checks = found.statement.references
    assert checks is not None
    assert (checks.measure, checks.replies, checks.questions) == (PRIMARY, 90, 30)
    assert "90 further replies of the teacher’s to 30 questions" in references_in_words(found.statement)
    assert references_in_words(found.statement) in (found.bundle / "report.html").read_text(encoding="utf-8")
    assert found.statement.closeness is not None
    assert not any("later" in each.text for each in read_rows(found.bundle / THIRDS, Answer))


def test_a_plan_with_references_refuses_others(probe: Path, tmp_path: Path) -> None:
    draw_thirds(probe)
    made = planned(probe)
    draw_thirds(probe, "others")
    shutil.copy(probe / THIRDS, probe / "plans" / "first" / THIRDS)
    with pytest.raises(DataError, match="not those that the plan first fixed"):
        opened(probe, made, tmp_path / "answers")


def test_where_there_are_none_or_none_are_wanted_the_likeness_stands_alone(probe: Path, tmp_path: Path) -> None:
    before = planned(probe, "before", number=10)
    draw_thirds(probe)
    without = planned(probe, "without", number=10, with_references=False)
    by_likelihood = planned(probe, "likelihood", primary="likelihood", number=5)
    for made in (before, without, by_likelihood):
        assert (made.plan.references_digest, made.references) == (None, 0)
    for made in (before, without):
        statement = opened(probe, made, tmp_path / made.plan.name).statement
        assert statement.references is None
        assert statement.closeness is not None  # of which those drawn after the plan are good enough
        assert references_in_words(statement) == ""


def test_changed_references_are_found_though_they_are_signed(probe: Path, tmp_path: Path) -> None:
    draw_thirds(probe)
    bundle = opened(probe, planned(probe), tmp_path / "answers").bundle
    rows = read_rows(bundle / THIRDS, Answer)
    write_rows(bundle / THIRDS, Answer, [replace(rows[0], text="another"), *rows[1:]])
    assert verify_bundle(bundle).problems
    assert verify_bundle(signed_again(bundle, signer(probe))).problems
    with pytest.MonkeyPatch.context() as patch:  # an owner who signs another record of what came in, too
        patch.setattr("stillroom.probe.verification.log_problems", lambda *_: ())
        assert "not those that the plan first fixed" in " ".join(verify_bundle(bundle).problems)


def test_references_that_lean_to_one_side_are_told_of(probe: Path, tmp_path: Path) -> None:
    """As where a store of earlier replies stands before the teacher: then it says again what was served."""
    pairs: Sequence[Pair] = read_rows(probe / "pairs.parquet", Pair)
    coins = {opening.pair_id: opening.coin for opening in read_rows(probe / "openings.parquet", Opening)}
    again = [Answer(pair.question_id, 0, served(pair, coins[pair.pair_id]), "stop", 5) for pair in pairs]
    write_rows(probe / THIRDS, Answer, again)
    statement: Statement = opened(probe, planned(probe), tmp_path / "answers").statement
    assert statement.references is not None
    assert (statement.references.nearer_served, statement.references.nearer_sealed) == (30, 0)
    assert statement.references.leaning_p_value < 1e-6
    told = " ".join(could_be_wrong(statement))
    assert "nearer to the served one of two 30 times and to the sealed one 0" in told
