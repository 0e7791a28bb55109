"""From made calls to candidates: one distiller among honest customers, the hard ones too."""

from __future__ import annotations

from functools import lru_cache

from stillroom.testing.traffic import START_AT, TRAFFIC_SECRET, Campaign, Traffic, bank_texts, benign, campaign
from stillroom.text.prints import Prints, epoch_at
from stillroom.watch.banks.prints import BankPrints, BankText
from stillroom.watch.signals.candidates import AccountCandidate, candidates_of
from stillroom.watch.signals.measure import signals_of
from stillroom.watch.signals.standing import Standings, fit_standings
from stillroom.watch.state import window_of
from stillroom.watch.window import Window

FIRST_DAY = START_AT // (86_400 * 1_000_000)
HARD = ("tutoring", "nightly_batch", "reseller", "labelling_firm", "agent_loop")


@lru_cache
def honest() -> Traffic:
    return benign(5, organisations=150, calls_per_organisation=120, twins=HARD)


@lru_cache
def bank() -> BankPrints:
    texts = tuple(dict.fromkeys(bank_texts("word_problems")))
    prints = Prints(TRAFFIC_SECRET, epoch_at(START_AT))
    return BankPrints.of(BankText("word problems", texts, "train", ""), prints)


def window(traffic: Traffic, since: int) -> Window:
    days = (FIRST_DAY + since, FIRST_DAY + since + 14)
    return window_of(
        traffic.calls, traffic.sketches, traffic.events, [bank()], *days, splits={"word problems": "train"}
    )


@lru_cache
def earlier() -> Standings:
    return fit_standings(signals_of(window(honest(), 0)))


@lru_cache
def later() -> Window:
    return window(honest(), 14)


def judged(setting: Campaign) -> tuple[set[str], list[AccountCandidate]]:
    own = campaign(setting, 5, honest())
    found = candidates_of(signals_of(later().beside(window(own, 14))), earlier())
    return {row["organisation"] for row in own.truth.to_pylist()}, found


def test_one_account_that_works_off_a_bank_comes_before_every_honest_customer() -> None:
    organisations, found = judged(
        Campaign("one", questions=1_500, accounts=1, bank="word_problems", dilution=0.5, days=14, start_day=14)
    )
    assert {found[0].organisation} == organisations
    assert found[0].score > found[1].score + 2
    assert "tutoring" in {each.name for each in found[0].explanations if each.is_ruled_out}


def test_one_organisations_accounts_that_share_a_bank_do_too() -> None:
    organisations, found = judged(
        Campaign("five", questions=1_500, accounts=5, organisations=1, bank="word_problems", days=14, start_day=14)
    )
    assert {found[0].organisation} == organisations
    assert len(found[0].accounts) == 5
