"""How many campaigns `watch` finds, how soon, and whom it wrongs, over the settings of benchmarks/watch_settings.py.

    python -m benchmarks.watch_detection [--half all] [--seeds 3] [--headline-seeds 10] [--processes 2]
                                         [--data ../shared/data] [--out FILE.jsonl]

Each seed makes four weeks of benign traffic once: 2,000 ordinary organisations and every benign twin. What is usual,
and the thresholds, are fitted on the first two weeks; the last two are judged. Every campaign is laid over the same
traffic, and starts when the judged weeks do, but for the slow ones. Beside it, given the same calls and the same budget
of alarms: a volume rule, PRADA and an MMD window test, adapted to sketches of texts (benchmarks/watch_contenders).

A campaign is found where a finding has half of its organisations, or, if it has but one, that one. Its accounts' recall
is over all findings that have any of them. What a finding names beside is wronged, as is whoever is found without any
campaign. Rows with a `d` were looked at while the detector was made; only the others count for what is claimed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from math import log10
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.watch_contenders.contender import Contender
from benchmarks.watch_contenders.every import every_contender
from benchmarks.watch_settings import CAMPAIGNS, develop_half, is_headline
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from stillroom.testing.traffic import BANKS, START_AT, TRAFFIC_SECRET, Campaign, Traffic, bank_texts, benign, campaign
from stillroom.text.prints import Prints, epoch_at
from stillroom.watch.banks.prints import BankPrints, BankText
from stillroom.watch.calibration.share import alarm_share
from stillroom.watch.campaigns import FEWEST_QUESTIONS, campaigns
from stillroom.watch.detectors import (
    RECENT_DAYS,
    WHOLE_DAYS,
    Calibrated,
    Windows,
    calibrate,
    candidates,
)
from stillroom.watch.engine import open_engine
from stillroom.watch.links.population import Population
from stillroom.watch.signals.candidates import candidates_of
from stillroom.watch.signals.measure import signals_of
from stillroom.watch.state import added_up, banks_of, counts_of
from stillroom.watch.window import Window

DAY_US = 86_400_000_000
FIRST_DAY = START_AT // DAY_US
FIT_DAYS, JUDGED_DAYS = (7, 14), (21, 28)
"""Ends of windows, in days from the traffic's first: one look a week."""
BUDGET_PER_WEEK = 1.0
SPLITS = {"gsm8k_train": "train", "gsm8k_test": "test", "math": "test", "word_problems": "train"}


@dataclass(frozen=True)
class Side:
    """The windows of some traffic, by the day they end before."""

    whole: Mapping[int, Window]
    recent: Mapping[int, Window]

    def beside(self, other: Side, day: int) -> Windows:
        whole = self.whole[day].beside(other.whole[day])
        return Windows(self.recent[day].beside(other.recent[day]), whole)


@dataclass(frozen=True)
class Wronged:
    """What was found in a seed's benign traffic alone."""

    seed: int
    organisations: dict[str, int]
    """By role."""
    alone: dict[str, int]
    """Organisations that were a finding by themselves, by role."""
    campaigns: list[dict[str, int]]
    """Of each false campaign, its organisations by role."""
    share: dict[str, float]
    contenders: dict[str, dict[str, int]]
    expected: dict[str, float]
    """Alarms that calibration expected a week."""
    seconds: float


@dataclass(frozen=True)
class Judged:
    """One campaign over one seed's traffic."""

    name: str
    seed: int
    is_found: bool
    accounts: float
    """Share of its organisations that findings name."""
    days: int | None
    """From its start until a look found it: one look a week."""
    others: dict[str, int]
    """Organisations of others that the same findings name, by role."""
    families: str
    contenders: dict[str, float]
    """Share of its organisations that each contender alarmed on."""
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("develop", "report", "all"), default="all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--headline-seeds", type=int, default=10)
    parser.add_argument("--organisations", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="settings whose name has this")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--out", type=Path, help="a JSON line for each result, as it comes")
    parser.add_argument("--show", type=Path, help="print the tables of such a file, and run nothing")
    options = parser.parse_args()
    started = time.perf_counter()
    chosen = _chosen(options.half, options.only)
    if options.show:
        lines = [json.loads(line) for line in options.show.read_text(encoding="utf-8").splitlines()]
        print_settings(chosen, [Judged(**line) for line in lines if "name" in line])
        print_wronged([Wronged(**line) for line in lines if "name" not in line])
        return
    develop = develop_half()
    many = {one.name for one in chosen if is_headline(one) and one.name not in develop}
    jobs = [
        (seed, [one for one in chosen if seed <= (options.headline_seeds if one.name in many else options.seeds)])
        for seed in range(1, max(options.seeds, options.headline_seeds) + 1)
    ]
    wronged: list[Wronged] = []
    judged: list[Judged] = []
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(_of_seed, seed, mine, options.organisations, options.data) for seed, mine in jobs if mine]
        for task in tasks:
            benign_side, of_campaigns = task.result()
            wronged.append(benign_side)
            judged += of_campaigns
            print(f"seed {benign_side.seed}: {time.perf_counter() - started:,.0f} s", flush=True)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(asdict(benign_side)) + "\n")
                    file.writelines(json.dumps(asdict(one)) + "\n" for one in of_campaigns)
    print_settings(chosen, judged)
    print_wronged(wronged)
    print(f"\n{(time.perf_counter() - started) / 60:.0f} minutes.")


def _chosen(half: str, only: str) -> list[Campaign]:
    develop = develop_half()
    wanted = {"develop": {True}, "report": {False}, "all": {True, False}}[half]
    return [one for one in CAMPAIGNS if (one.name in develop) in wanted and only in one.name]


def _of_seed(seed: int, settings: Sequence[Campaign], organisations: int, data: Path) -> tuple[Wronged, list[Judged]]:
    started = time.perf_counter()
    folder = data if data.is_dir() else None
    traffic = benign(seed, organisations=organisations, data=folder)
    banks = known_banks(folder)
    side = _side(traffic, banks, (*FIT_DAYS, *JUDGED_DAYS))
    weeks = {day: candidates(Windows(side.recent[day], side.whole[day])) for day in FIT_DAYS}
    calibrated = calibrate(weeks, BUDGET_PER_WEEK)
    contenders = every_contender(BUDGET_PER_WEEK)
    fit_days, judge_days = (range(FIRST_DAY + a, FIRST_DAY + b) for a, b in ((0, 14), (14, 28)))
    for one in contenders:
        one.fit(traffic, fit_days)
    roles = _roles(traffic)
    wronged = _wronged(traffic, side, calibrated, contenders, judge_days, roles, started)
    judged = []
    for setting in settings:
        laid = campaign(setting, seed, traffic)
        mine = _side(laid, banks, JUDGED_DAYS)
        judged.append(_judged(setting, laid, side, mine, calibrated, contenders, judge_days, roles))
    return wronged, judged


def known_banks(data: Path | None) -> list[BankPrints]:
    prints = Prints(TRAFFIC_SECRET, epoch_at(START_AT))
    names = [name for name in BANKS if (name == "word_problems") is (data is None)]
    texts = {name: tuple(bank_texts(name, data)) for name in names}
    return [BankPrints.of(BankText(name, texts[name], SPLITS[name], ""), prints) for name in names]


def _side(traffic: Traffic, banks: Sequence[BankPrints], days: Iterable[int]) -> Side:
    with TemporaryDirectory() as scratch, open_engine("duckdb", Path(scratch)) as engine:
        counts, _ = counts_of(
            engine, traffic.calls, traffic.sketches, traffic.events, banks, traffic.earlier_prints or None
        )
        frames = {name: engine.from_arrow(table) for name, table in counts.items()}
        known = banks_of(banks, SPLITS)

        def window(day: int, length: int) -> Window:
            since, until = FIRST_DAY + day - length, FIRST_DAY + day
            return added_up(engine, frames, since, until, banks=known, missing=frozenset())

        ends = list(days)
        recent = {day: window(day, RECENT_DAYS) for day in ends}
        return Side({day: window(day, WHOLE_DAYS) for day in ends}, recent)


def _roles(traffic: Traffic) -> dict[str, str]:
    owners, roles = (map(str, traffic.truth[name].to_pylist()) for name in ("organisation", "role"))
    return dict(zip(owners, roles, strict=True))


def _wronged(
    traffic: Traffic,
    side: Side,
    calibrated: Calibrated,
    contenders: Sequence[Contender],
    judge_days: range,
    roles: Mapping[str, str],
    started: float,
) -> Wronged:
    alone: set[str] = set()
    groups: list[frozenset[str]] = []
    for day in JUDGED_DAYS:
        groups += [one for one in _campaigns(side.whole[day], calibrated) if one not in groups]
        alone |= _alone(side.recent[day], calibrated)
    together = {name for group in groups for name in group}
    owners, kinds = (map(str, traffic.truth[name].to_pylist()) for name in ("organisation", "client_model"))
    models = dict(zip(owners, kinds, strict=True))
    share = alarm_share(alone | together, list(roles), weeks=2, clusters=models)
    return Wronged(
        seed=traffic.seed,
        organisations=dict(Counter(roles.values())),
        alone=dict(Counter(roles[name] for name in alone - together)),
        campaigns=[dict(Counter(roles[name] for name in group)) for group in groups],
        share={"alarmed": share.alarmed, "organisations": share.organisations, "low": share.low, "high": share.high},
        contenders={
            one.name: dict(Counter(roles[name] for name in one.alarms(traffic, judge_days))) for one in contenders
        },
        expected={
            "account": calibrated.account.expected_per_week,
            "campaign": calibrated.campaign.expected_per_week,
            "campaign score": calibrated.campaign.score,
            "account score": calibrated.account.score,
        },
        seconds=time.perf_counter() - started,
    )


def _judged(
    setting: Campaign,
    laid: Traffic,
    side: Side,
    mine: Side,
    calibrated: Calibrated,
    contenders: Sequence[Contender],
    judge_days: range,
    roles: Mapping[str, str],
) -> Judged:
    started = time.perf_counter()
    guilty = set(laid.truth["organisation"].to_pylist())
    named: dict[int, list[frozenset[str]]] = {}

    def looked(day: int) -> bool:
        """Whether a look on this day finds it."""
        windows = side.whole[day].beside(mine.whole[day])
        named[day] = [one for one in _campaigns(windows, calibrated) if one & guilty]
        if len(guilty) == 1:
            recent = _alone(side.recent[day].beside(mine.recent[day]), calibrated)
            named[day] += [frozenset({name}) for name in recent & guilty]
        return any(len(one & guilty) >= len(guilty) / 2 for one in named[day])

    found = [day for day in JUDGED_DAYS if looked(day)]
    everyone = {name for day in JUDGED_DAYS for one in named[day] for name in one}
    return Judged(
        name=setting.name,
        seed=laid.seed,
        is_found=bool(found),
        accounts=len(everyone & guilty) / len(guilty),
        days=found[0] - setting.start_day if found else None,
        others=dict(Counter(roles[name] for name in everyone - guilty)),
        families=" ".join(sorted(setting.families)) or "none",
        contenders={one.name: len(one.alarms(laid, judge_days) & guilty) / len(guilty) for one in contenders},
        seconds=time.perf_counter() - started,
    )


def _campaigns(window: Window, calibrated: Calibrated) -> list[frozenset[str]]:
    population = Population(window)
    lowest = max(calibrated.campaign.score, log10(FEWEST_QUESTIONS))
    return [
        frozenset(population.organisations[member] for member in one.group.members)
        for one in campaigns(population)
        if one.score >= lowest
    ]


def _alone(window: Window, calibrated: Calibrated) -> set[str]:
    return {
        one.organisation
        for one in candidates_of(signals_of(window), calibrated.standings)
        if one.score >= calibrated.account.score
    }


def print_settings(settings: Sequence[Campaign], judged: Sequence[Judged]) -> None:
    names, develop = [*judged[0].contenders] if judged else [], develop_half()
    print("\nFound: of the seeds' campaigns. Accounts: share of a campaign's organisations that findings name. Days:")
    print("median until a look found it. Wronged: organisations of others in the same findings. Then the accounts that")
    print("each contender alarmed on.\n")
    head = f"{'':2}{'setting':64}{'found':>8}{'accounts':>10}{'days':>6}{'wronged':>9}"
    print(head + "".join(f"{_short(name):>9}" for name in names))
    for setting in settings:
        mine = [one for one in judged if one.name == setting.name]
        if mine:
            mark = ("H" if is_headline(setting) else "") + ("d" if setting.name in develop else "")
            print(_row(mark, setting.name, mine, names))
    for half, is_developed in (("that were kept apart", False), ("that were looked at", True)):
        chosen = {one.name for one in settings if is_headline(one) and (one.name in develop) is is_developed}
        if headline := [one for one in judged if one.name in chosen]:
            print(_row("", f"headline settings {half}: {len(headline)} campaigns", headline, names))
            found = sum(one.is_found for one in headline)
            low, high = proportion_confint(found, len(headline), method="wilson")
            print(f"{'':2}  found: {found / len(headline):.1%}, 95 % interval (Wilson) {low:.1%} to {high:.1%}")
    others = sum(sum(one.others.values()) for one in judged)
    print(f"\nOrganisations of others that these findings name: {others} in {len(judged)} campaigns.")


def _row(mark: str, name: str, mine: Sequence[Judged], contenders: Sequence[str]) -> str:
    found = sum(one.is_found for one in mine)
    accounts = sum(one.accounts for one in mine) / len(mine)
    days = sorted(one.days for one in mine if one.days is not None)
    wronged = sum(sum(one.others.values()) for one in mine) / len(mine)
    others = (sum(one.contenders[each] for one in mine) / len(mine) for each in contenders)
    seen = f"{days[len(days) // 2]}" if days else "-"
    row = f"{mark:2}{name:64}{f'{found}/{len(mine)}':>8}{accounts:>10.1%}{seen:>6}{wronged:>9.1f}"
    return row + "".join(f"{each:>9.1%}" for each in others)


def print_wronged(wronged: Sequence[Wronged]) -> None:
    alarmed = sum(int(one.share["alarmed"]) for one in wronged)
    everyone = sum(int(one.share["organisations"]) for one in wronged)
    low, high = (sum(one.share[end] for one in wronged) / len(wronged) for end in ("low", "high"))
    print(f"\nBenign organisations ever alarmed in two weeks: {alarmed} of {everyone:,} ({alarmed / everyone:.3%});")
    print(f"95 % interval of a seed's share, by bootstrap over client models, on average {low:.3%} to {high:.3%}.")
    print(f"\n{'role':26}{'organisations':>14}{'alone':>8}{'campaigns':>11}" + _names(wronged))
    for role in sorted({role for one in wronged for role in one.organisations}):
        count = sum(one.organisations.get(role, 0) for one in wronged)
        alone = sum(one.alone.get(role, 0) for one in wronged)
        groups = sum(role in group for one in wronged for group in one.campaigns)
        others = (sum(one.contenders[name].get(role, 0) for one in wronged) for name in wronged[0].contenders)
        print(f"{role:26}{count:>14,}{alone:>8}{groups:>11}" + "".join(f"{each:>9}" for each in others))
    expected = sum(one.expected["account"] + one.expected["campaign"] for one in wronged) / len(wronged)
    print(f"\nAlarms a week that calibration expected: {expected:.2f}; that came: {alarmed / len(wronged) / 2:.2f}.")


def _names(wronged: Sequence[Wronged]) -> str:
    return "".join(f"{_short(name):>9}" for name in wronged[0].contenders)


def _short(name: str) -> str:
    """Without where it is applied."""
    return name.split()[0]


if __name__ == "__main__":
    main()
