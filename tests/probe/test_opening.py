"""Opening a plan: once, with the answers that it asked for, asked after it was recorded, on pairs nobody has seen."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.probe import probes
from tests.probe.probes import ask, make_probe, planned, score, sealed, signer, something_else

from stillroom.base.errors import DataError, StoreError, UsageError
from stillroom.probe import opening
from stillroom.probe.asked import read_asked, write_asked
from stillroom.probe.opening import Opened, give_bundle, open_plan
from stillroom.probe.pack import ANSWERS, LIKELIHOODS, copy_folder, read_pack
from stillroom.probe.plan_log import FILE, read_log
from stillroom.probe.recorded import abandon, give_pack, read_recorded
from stillroom.probe.spent import read_spent
from stillroom.probe.verification import verify_bundle
from stillroom.store.siblings import Answer, Likelihood, Opening, Pair, read_rows, write_rows


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    return make_probe(tmp_path / "probe", 40)


def opened(probe: Path, answers: Path, name: str = "first") -> Opened:
    return open_plan(probe, name, answers, signer(probe), "Olga")


def events(probe: Path) -> list[str]:
    return [line.record.event for line in read_log(probe / FILE)]


def test_who_learned_the_served_replies_is_found_and_who_did_not_is_not(probe: Path, tmp_path: Path) -> None:
    found = {}
    for name, says in (("guilty", probes.served), ("reverse", sealed), ("innocent", something_else)):
        made = planned(probe, name, number=13)
        found[name] = opened(probe, ask(made.pack, probe, tmp_path / name, says), name).statement
    assert found["guilty"].is_positive
    assert found["guilty"].result.p_value == pytest.approx(2.0**-13)
    assert found["reverse"].result.p_value == pytest.approx(1)
    assert not found["reverse"].is_positive
    assert not found["innocent"].is_positive
    logged = found["innocent"].log.plans
    assert [(each.name, each.state) for each in logged] == [(name, "opened") for name in found]
    assert [each.p_value for each in logged] == [each.result.p_value for each in found.values()]


def test_the_answers_and_the_spending_are_on_record_before_the_coins_are_looked_at(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")

    def killed(*_: Any) -> None:
        assert events(probe) == ["planned", "answers received"]
        assert len(read_spent(probe)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(opening, "judge", killed)
    with pytest.raises(KeyboardInterrupt):
        opened(probe, answers)
    monkeypatch.undo()
    others = ask(made.pack, probe, tmp_path / "others", sealed)
    with pytest.raises(DataError, match="Other answers were received"):
        opened(probe, others)
    assert opened(probe, answers).statement.is_positive
    assert events(probe) == ["planned", "answers received", "opened", "bundle made"]


@pytest.mark.parametrize("where", ["write_bundle", "note"])
def test_killed_after_the_coins_were_opened_the_same_result_is_bundled(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")
    whole: Callable[..., Any] = getattr(opening, where)

    def killed(*args: Any, **more: Any) -> Any:
        if where == "note" and args[2] != "bundle made":
            return whole(*args, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(opening, where, killed)
    with pytest.raises(KeyboardInterrupt):
        opened(probe, answers)
    monkeypatch.undo()
    assert events(probe)[-1] == "opened"
    found = opened(probe, answers)
    assert events(probe) == ["planned", "answers received", "opened", "bundle made"]
    assert verify_bundle(found.bundle).problems == []


def test_further_replies_that_come_between_do_not_keep_a_test_that_was_stopped_from_going_on(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")
    monkeypatch.setattr(opening, "mark_spent", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        opened(probe, answers)
    monkeypatch.undo()
    thirds = [Answer(pair.question_id, 0, "another draw", "stop", 1) for pair in read_pack(made.pack).pairs]
    write_rows(probe / "thirds.parquet", Answer, thirds)
    found = opened(probe, answers)
    assert not (found.bundle / "thirds.parquet").exists()
    assert verify_bundle(found.bundle, answers=answers).problems == []


def test_further_replies_of_a_test_that_was_stopped_are_kept(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")
    thirds = [Answer(pair.question_id, 0, "another draw", "stop", 1) for pair in read_pack(made.pack).pairs]
    write_rows(probe / "thirds.parquet", Answer, thirds)
    monkeypatch.setattr(opening, "mark_spent", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        opened(probe, answers)
    monkeypatch.undo()
    write_rows(probe / "thirds.parquet", Answer, thirds[:3])
    found = opened(probe, answers)
    assert read_rows(found.bundle / "thirds.parquet", Answer) == thirds
    assert verify_bundle(found.bundle, answers=answers).problems == []


def test_a_second_opening_is_refused(probe: Path, tmp_path: Path) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")
    opened(probe, answers)
    with pytest.raises(UsageError, match="a second look is not a second test"):
        opened(probe, answers)


def test_a_plan_recorded_after_the_asking_is_refused(probe: Path, tmp_path: Path) -> None:
    early = planned(probe, "early", number=5)
    at = early.record.at
    abandon(probe, "early", "never asked", signer(probe), "Olga")
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers", at=at)
    with pytest.raises(DataError, match="recorded after the asking"):
        opened(probe, answers)
    assert "answers received" not in events(probe)


def test_one_answer_that_is_older_than_the_plan_is_enough(probe: Path, tmp_path: Path) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")
    rows = read_rows(answers / ANSWERS, Answer)
    for changed, told in ((made.record.at - 1, "recorded after the asking"), (None, "do not say when")):
        write_rows(answers / ANSWERS, Answer, [replace(rows[0], asked_at=changed), *rows[1:]])
        with pytest.raises(DataError, match=told):
            opened(probe, answers)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sampling": {"temperature": 0.2}}, "other settings than planned"),
        ({"samples": 3}, "asked 3 times, and not 2"),
        ({"plan": None}, "names another one, or none"),
        ({"plan": "sha256:" + "0" * 64}, "names another one, or none"),
        ({"last_at": 2**60}, "after the coins were opened"),
    ],
)
def test_askings_that_are_not_the_planned_one(probe: Path, tmp_path: Path, change: dict[str, Any], told: str) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")
    asked = read_asked(answers)
    if "sampling" in change:
        change = {"sampling": asked.sampling.model_copy(update=change["sampling"])}
    write_asked(answers, asked.model_copy(update=change))
    with pytest.raises(DataError, match=told):
        opened(probe, answers)


def test_rows_that_were_not_asked_for(probe: Path, tmp_path: Path) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")
    rows = read_rows(answers / ANSWERS, Answer)
    for extra, told in (
        (replace(rows[0], question_id="another"), "not in the plan, such as another"),
        (replace(rows[0], sample=2), "numbers that a plan of 2 samples"),
        (rows[0], "two answers of one number"),
    ):
        write_rows(answers / ANSWERS, Answer, [*rows, extra])
        with pytest.raises(DataError, match=told):
            opened(probe, answers)


def test_too_many_missing_answers_open_nothing(probe: Path, tmp_path: Path) -> None:
    made = planned(probe, may_lack=0.1)
    answers = ask(made.pack, probe, tmp_path / "answers")
    rows = sorted(read_rows(answers / ANSWERS, Answer), key=lambda row: row.question_id)
    write_rows(answers / ANSWERS, Answer, rows[10:])
    with pytest.raises(DataError, match="5 of 40 questions lack"):
        opened(probe, answers)
    assert events(probe) == ["planned"]
    failed = [replace(row, text="", finish_reason="failed: timeout") for row in rows[:8]]
    write_rows(answers / ANSWERS, Answer, [*failed, *rows[8:]])
    counts = opened(probe, answers).statement.counts
    assert (counts.pairs, counts.used, counts.identical, counts.unanswered) == (40, 36, 0, 4)
    assert (counts.answers, counts.unusable_answers) == (80, 8)


def test_spent_pairs_are_left_out_of_later_plans_and_refused_in_older_ones(probe: Path, tmp_path: Path) -> None:
    first = planned(probe, number=10)
    second = planned(probe, "second")
    assert second.plan.left_out == {"of_another_plan": 10}
    opened(probe, ask(first.pack, probe, tmp_path / "answers"))
    third_ids = read_recorded(probe, "second").pairs
    assert not {pair.pair_id for pair in third_ids} & read_spent(probe)[0].pair_ids
    abandon(probe, "second", "enough", signer(probe), "Olga")
    third = planned(probe, "third")
    assert third.plan.left_out == {"spent": 10}
    assert third.plan.pairs == 30


def test_a_pair_with_a_spent_reply_is_spent_under_whatever_name(tmp_path: Path) -> None:
    probe = make_probe(tmp_path / "probe", 10)
    opened(probe, ask(planned(probe, number=4).pack, probe, tmp_path / "answers"))
    again = make_probe(tmp_path / "again", 10)
    shutil.copy(probe / "spent.jsonl", again)
    rows = read_rows(again / "pairs.parquet", Pair)
    assert planned(again).plan.left_out == {"spent": 4}
    assert len(rows) == 10


def test_pairs_of_an_abandoned_plan_are_free_unless_answers_had_come(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(probe)
    abandon(probe, "first", "never asked", signer(probe), "Olga")
    second = planned(probe, "second")
    assert second.plan.pairs == 40
    monkeypatch.setattr(opening, "mark_spent", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        opened(probe, ask(second.pack, probe, tmp_path / "answers"), "second")
    abandon(probe, "second", "changed our minds", signer(probe), "Olga")
    with pytest.raises(DataError, match="40 opened before"):
        planned(probe, "third")
    with pytest.raises(UsageError, match="given up"):
        opened(probe, tmp_path / "answers", "second")
    with pytest.raises(UsageError, match="abandoned already"):
        abandon(probe, "second", "again", signer(probe), "Olga")


def test_a_pilot_is_no_evidence_says_how_many_are_needed_and_spends_its_pairs(probe: Path, tmp_path: Path) -> None:
    pilot = planned(probe, "pilot", is_pilot=True, number=20)
    found = opened(probe, ask(pilot.pack, probe, tmp_path / "answers"), "pilot").statement
    assert not found.is_positive
    assert found.result.p_value < 0.001
    assert found.needed is not None
    assert 5 <= found.needed <= 20
    assert planned(probe, "main").plan.left_out == {"spent": 20}


def test_likelihood_decides_where_it_is_the_plan(probe: Path, tmp_path: Path) -> None:
    made = planned(probe, primary="likelihood", base="abacus-7b-base")
    assert made.plan.samples == 0
    found = opened(probe, score(made.pack, probe, tmp_path / "figures")).statement
    assert found.result.measure == "likelihood"
    assert found.is_positive
    assert found.result.nearer_served >= 36
    assert found.others == ()


def test_an_asking_that_was_stopped_between_its_parts_is_not_taken_for_all(probe: Path, tmp_path: Path) -> None:
    made = planned(probe, others=("likelihood",), base="abacus-7b-base")
    answers = ask(made.pack, probe, tmp_path / "answers")
    with pytest.raises(DataError, match="how likely the base holds the replies, and there is no figure of it"):
        opened(probe, answers)
    figures = score(made.pack, probe, tmp_path / "figures")
    shutil.copy(answers / "asked.json", figures)
    with pytest.raises(DataError, match="asked 2 times, and there is no answer"):
        opened(probe, figures)
    shutil.copy(figures / LIKELIHOODS, answers)
    rows = read_rows(answers / LIKELIHOODS, Likelihood)
    write_rows(answers / LIKELIHOODS, Likelihood, [row for row in rows if row.model == "base"])
    with pytest.raises(DataError, match="how likely the suspect holds the replies"):
        opened(probe, answers)
    write_rows(answers / LIKELIHOODS, Likelihood, rows)
    assert opened(probe, answers).statement.others[0].nearer_served >= 36


@pytest.mark.parametrize("side", ["first", "second"])
def test_figures_that_are_no_logarithms_of_probabilities_are_refused(probe: Path, tmp_path: Path, side: str) -> None:
    figures = score(planned(probe, primary="likelihood", base="abacus-7b-base").pack, probe, tmp_path / "figures")
    rows = read_rows(figures / LIKELIHOODS, Likelihood)
    altered: dict[str, Any] = {side: 0.5}
    write_rows(figures / LIKELIHOODS, Likelihood, [replace(rows[0], **altered), *rows[1:]])
    with pytest.raises(DataError, match=f"1 figures are above 0, such as that of pair {rows[0].pair_id}"):
        opened(probe, figures)
    assert events(probe) == ["planned"]
    certain: dict[str, Any] = {side: 1e-7}
    write_rows(figures / LIKELIHOODS, Likelihood, [replace(rows[0], **certain), *rows[1:]])
    assert opened(probe, figures).statement.is_positive


@pytest.mark.parametrize("model", ["suspect", "base"])
@pytest.mark.parametrize("figure", [-1.7e308, -2e12])
def test_figures_that_no_model_gives_are_refused(probe: Path, tmp_path: Path, model: str, figure: float) -> None:
    figures = score(planned(probe, primary="likelihood", base="abacus-7b-base").pack, probe, tmp_path / "figures")
    alter_figures(figures, model, figure)
    with pytest.raises(DataError, match=r"40 figures are below -1e\+12"):
        opened(probe, figures)


@pytest.mark.parametrize("model", ["suspect", "base"])
@pytest.mark.parametrize("figure", [float("-inf"), float("nan")])
def test_figures_that_are_no_numbers_are_missing(probe: Path, tmp_path: Path, model: str, figure: float) -> None:
    made = planned(probe, primary="likelihood", base="abacus-7b-base")
    figures = score(made.pack, probe, tmp_path / "figures")
    alter_figures(figures, model, figure)
    with pytest.raises(DataError, match="40 of 40 questions lack what the measure 'likelihood' needs"):
        opened(probe, figures)
    alter_figures(score(made.pack, probe, figures), model, figure, most=2)
    assert opened(probe, figures).statement.counts.unanswered == 2


def test_beside_a_base_that_hardly_tells_the_two_apart(probe: Path, tmp_path: Path) -> None:
    figures = score(planned(probe, primary="likelihood", base="abacus-7b-base").pack, probe, tmp_path / "figures")
    rows = read_rows(figures / LIKELIHOODS, Likelihood)
    altered = [replace(row, first=-5e-324, second=0.0) if row.model == "base" else row for row in rows]
    write_rows(figures / LIKELIHOODS, Likelihood, altered)
    assert opened(probe, figures).statement.result.informative == 40


def alter_figures(folder: Path, model: str, figure: float, most: int = 1000) -> None:
    rows = read_rows(folder / LIKELIHOODS, Likelihood)
    theirs = [row.pair_id for row in rows if row.model == model][:most]
    altered = [replace(row, first=figure) if row.model == model and row.pair_id in theirs else row for row in rows]
    write_rows(folder / LIKELIHOODS, Likelihood, altered)


def test_only_accounts_with_a_pair_in_the_plan_are_named(tmp_path: Path) -> None:
    probe = make_probe(tmp_path / "probe", 40, ("acct_1", "acct_2", "acct_3"))
    account_of = {row.pair_id: row.account for row in read_rows(probe / "openings.parquet", Opening)}
    for name, number in (("one", 1), ("rest", None)):
        made = planned(probe, name, number=number)
        assert made.plan.accounts == tuple(sorted({account_of[row.pair_id] for row in read_pack(made.pack).pairs}))
        assert len(made.plan.accounts) == (number or 3)


def test_coins_that_were_exchanged_after_the_plan_are_seen(probe: Path, tmp_path: Path) -> None:
    made = planned(probe)
    answers = ask(made.pack, probe, tmp_path / "answers")
    rows = read_rows(probe / "openings.parquet", Opening)
    turned = [replace(row, coin=0 if row.coin else 1) for row in rows]
    write_rows(probe / "openings.parquet", Opening, turned)
    with pytest.raises(DataError, match="not those that the plan first committed to"):
        opened(probe, answers)


def test_accounts_are_told_apart_and_corrected_for(tmp_path: Path) -> None:
    probe = make_probe(tmp_path / "probe", 60, ("acct_1", "acct_2"))
    made = planned(probe)
    theirs = {row.pair_id for row in read_rows(probe / "openings.parquet", Opening) if row.account == "acct_2"}

    def says(pair: Pair, coin: int) -> str:
        return probes.served(pair, coin) if pair.pair_id in theirs else something_else(pair, coin)

    found = opened(probe, ask(made.pack, probe, tmp_path / "answers", says)).statement
    one, two = found.accounts
    assert (one.account, one.pairs, one.is_accused) == ("acct_1", 30, False)
    assert (two.account, two.pairs, two.is_accused) == ("acct_2", 30, True)
    assert two.holm_p == pytest.approx(2 * two.result.p_value)


def test_whom_a_pack_and_a_bundle_went_to_is_in_the_log(probe: Path, tmp_path: Path) -> None:
    planned(probe)
    give_pack(probe, "first", tmp_path / "for-ito", "Prof. Ito", signer(probe), "Olga")
    answers = ask(tmp_path / "for-ito", probe, tmp_path / "answers")
    found = opened(probe, answers)
    digest = give_bundle(probe, "first", tmp_path / "for-court", "the court", signer(probe), "Olga")
    assert digest == found.digest
    assert verify_bundle(tmp_path / "for-court", answers=answers, pack=tmp_path / "for-ito").problems == []
    told = [(line.record.event, line.record.note) for line in read_log(probe / FILE)]
    assert told[1] == ("pack given", "Prof. Ito")
    assert told[-1] == ("bundle given", "the court")
    with pytest.raises(UsageError, match="there already"):
        give_bundle(probe, "first", tmp_path / "for-court", "the court", signer(probe), "Olga")
    with pytest.raises(UsageError, match="opened"):
        give_pack(probe, "first", tmp_path / "late", "Prof. Ito", signer(probe), "Olga")


def test_while_a_pack_is_copied_nobody_else_makes_one(
    probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(probe)

    def copy(folder: Path, to: Path) -> None:
        with (probe / "plans.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        copy_folder(folder, to)

    for place in ("recorded", "opening"):
        monkeypatch.setattr(f"stillroom.probe.{place}.copy_folder", copy)
    give_pack(probe, "first", tmp_path / "for-ito", "Prof. Ito", signer(probe), "Olga")
    opened(probe, ask(tmp_path / "for-ito", probe, tmp_path / "answers"))
    give_bundle(probe, "first", tmp_path / "for-court", "the court", signer(probe), "Olga")
    assert (tmp_path / "for-court").is_dir()


def test_what_is_not_there_is_told(probe: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no plan first"):
        opened(probe, tmp_path)
    made = planned(probe)
    with pytest.raises(UsageError, match="a plan first already, which says something else"):
        planned(probe, level=0.01)
    with pytest.raises(UsageError, match="No pair of acct_9"):
        planned(probe, "second", accounts=("acct_9",))
    with pytest.raises(UsageError, match="no measure 'taste'"):
        planned(probe, "second", primary="taste")
    with pytest.raises(UsageError, match="has no bundle"):
        give_bundle(probe, "first", tmp_path / "b", "x", signer(probe), "Olga")
    with pytest.raises(DataError, match=r"asked\.json"):
        opened(probe, tmp_path)
    (made.pack.parent / "plan.json").write_bytes(made.plan.model_copy(update={"level": 0.2}).to_bytes())
    with pytest.raises(DataError, match="not the plan that the log recorded"):
        opened(probe, tmp_path)
    (made.pack.parent / "plan.json").write_bytes(made.plan.to_bytes())
    (probe / "spent.jsonl").write_bytes(b"{}\n")
    with pytest.raises(StoreError, match="no record of what was opened"):
        opened(probe, ask(made.pack, probe, tmp_path / "answers"))
