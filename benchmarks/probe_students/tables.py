"""What judging found, as Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.probe_students.rates import (
    ALPHAS,
    BLOCKS,
    NUMBERS,
    TESTS,
    TOSSES,
    block_p_values,
    can_be_tested,
    p_values_tossed_again,
    power,
    share_of_half,
    size,
)
from benchmarks.probe_students.suspects import Numbers, Suspect, read_suspect

from stillroom.probe.measures import PRIMARY
from stillroom.probe.swap_test import swap_test
from stillroom.store.files import read_object

NUMBERS_BY_SAMPLES = (50, 300, 2000)
MANY_SAMPLES = 16
"""A student that gave so many answers to each question is judged by fewer of them too."""


def of_teacher(known: Mapping[str, Any]) -> str:
    """What of a teacher's replies there is to learn by heart."""
    return (
        f"Teacher ({known['teacher']}) at temperature 1: {known['nats_per_reply']:.2f} nats a "
        f"reply, and {known['equal_siblings']:.0%} of siblings are equal word for word."
    )


def of_suspects(suspects: Sequence[Suspect]) -> str:
    """Every student, with all of its questions at once."""
    lines = [
        "| student | is | learned from | share | epochs | questions | siblings differ | gain, nats a token "
        "| greedy answer = served / sealed | closeness to the teacher "
        f"| {PRIMARY}: nearer to served | p | beside further draws, p | all texts, p "
        "| likelihood: nearer to served | p |",
        "|---" * 16 + "|",
    ]
    for suspect in sorted(suspects, key=_order):
        facts, every = suspect.facts, np.arange(len(suspect.coins_N))
        gain = "-" if suspect.gain is None else f"{suspect.gain:+.4f}"
        heart = "-" if suspect.by_heart is None else " / ".join(f"{part:.1%}" for part in suspect.by_heart)
        cells = [
            suspect.name, suspect.kind, facts["trained_on"],
            f"{facts['share']:.0%}" if suspect.kind == "guilty" else "-", f"{facts['epochs']}",
            f"{len(every):,}", f"{int(suspect.differ_N.sum()):,}", gain, heart, suspect.closeness or "-",
            *_found(suspect, suspect.primary_N),
            *(_p(TESTS[name](suspect, every)) if can_be_tested(suspect, name) else "-"
              for name in ("text beside further draws", "all texts")),
            *(_found(suspect, suspect.likelihood_N) if suspect.likelihood_N is not None else ["-", "-"]),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _found(suspect: Suspect, differences_N: Numbers) -> list[str]:
    test = swap_test(differences_N, suspect.coins_N, suspect.units_N)
    return [f"{test.nearer_served} of {test.informative}", _p(test.p_value)]


def of_sizes(suspects: Sequence[Suspect]) -> str:
    """Innocents together, and those that learned from the sealed halves apart."""
    lines = [
        f"How often innocents are accused, in {BLOCKS} disjoint blocks of each one's questions. Exact: Clopper-Pearson "
        "over all blocks. Clustered: 2.5th and 97.5th percentile over students drawn anew. Tossed again: the rate in "
        f"{TOSSES} times as many blocks, each with fresh coins; an innocent never saw which replies were served: it is "
        "the same trial again.",
        "",
        "| test | of whom | students | blocks | level | accused | rate | 95 % exact | 95 % clustered | tossed again |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups = {
        "innocent": [suspect for suspect in suspects if suspect.kind == "innocent"],
        "taught the sealed halves": [suspect for suspect in suspects if suspect.kind == "sealed"],
    }
    for test in TESTS:
        for name, group in groups.items():
            there = [suspect for suspect in group if can_be_tested(suspect, test)]
            if not there:
                continue
            p_values_SB = [block_p_values(suspect, test) for suspect in there]
            again = [p_values_tossed_again(suspect, test) for suspect in there] if _can_be_tossed(name, test) else []
            for alpha in ALPHAS:
                found = size(p_values_SB, alpha)
                intervals = [f"{low:.3f} to {high:.3f}" for low, high in (found.exact, found.clustered)]
                lines.append(
                    f"| {test} | {name} | {len(there)} | {found.blocks} | {alpha} | {found.accused} "
                    f"| {found.rate:.4f} | {' | '.join(intervals)} "
                    f"| {f'{np.mean(np.concatenate(again) <= alpha):.4f}' if again else '-'} |"
                )
    return "\n".join(lines)


def _can_be_tossed(of_whom: str, test: str) -> bool:
    """The sealed halves are what the coins made them, and the largest of several takes a minute for each toss."""
    return of_whom == "innocent" and test != "all texts"


def of_powers(suspects: Sequence[Suspect]) -> Iterator[str]:
    """A table for each test. Students of which only a share was served are there twice."""
    guilty = sorted((suspect for suspect in suspects if suspect.kind == "guilty"), key=_order)
    if not guilty:
        return
    yield (
        "Power by the number of questions, those with equal siblings included: at 0.05 / at 0.01. It holds for this "
        "very student: its questions are drawn anew with their coins, with replacement, not its training. Where only a "
        "share of its training data was served, all pairs that were served are tested, and then only those among them "
        "that were in its training data."
    )
    for test in TESTS:
        lines = [
            f"| {test} | questions drawn from | " + " | ".join(f"{count:,}" for count in NUMBERS) + " |",
            "|---|---|" + "---|" * len(NUMBERS),
        ]
        for suspect in guilty:
            if not can_be_tested(suspect, test):
                continue
            lines.append(_power_row(suspect, test, False))
            if not suspect.trained_on_N.all():
                lines.append(_power_row(suspect, test, True))
        yield "\n".join(lines)


def _power_row(suspect: Suspect, test: str, only_learned: bool) -> str:
    among_N = suspect.trained_on_N if only_learned else np.ones(len(suspect.coins_N), dtype=np.bool_)
    there = int(among_N.sum())
    cells = []
    for count in NUMBERS:
        # More questions than there are would be the same ones again.
        found = power(suspect, test, count, among_N) if count <= there else {}
        cells.append(" / ".join(f"{found[alpha]:.2f}" for alpha in ALPHAS) if found else "-")
    drawn_from = f"the {there:,} that it learned from" if only_learned else f"all {there:,} served"
    return f"| {suspect.name} | {drawn_from} | {' | '.join(cells)} |"


def of_samples(folders: Sequence[Path], answers_table: str) -> Iterator[str]:
    """What more answers to each question are worth, of the guilty students that gave the most."""
    lines = [
        f"Power at 0.05 by the answers to each question (`{answers_table}`; greedy: one answer).",
        "",
        "| student | answers | text: nearer to served | p | beside further draws: nearer to served | p "
        "| " + " | ".join(f"text / beside, {count:,} questions" for count in NUMBERS_BY_SAMPLES) + " |",
        "|---" * (6 + len(NUMBERS_BY_SAMPLES)) + "|",
    ]
    for folder in folders:
        facts = read_object(folder / "facts.json")
        if facts["kind"] != "guilty" or facts.get("samples", 0) < MANY_SAMPLES:
            continue
        lines.append(_samples_row("greedy", read_suspect(folder, "answers_greedy")))
        for samples in (1, 4, 16, 32):
            if samples <= facts["samples"]:
                lines.append(_samples_row(str(samples), read_suspect(folder, answers_table, samples)))
    yield "\n".join(lines)


def _samples_row(answers: str, suspect: Suspect) -> str:
    tests = [test for test in ("text", "text beside further draws") if can_be_tested(suspect, test)]
    powers = [
        " / ".join(f"{power(suspect, test, count)[ALPHAS[0]]:.2f}" for test in tests)
        if count <= len(suspect.coins_N)
        else "-"
        for count in NUMBERS_BY_SAMPLES
    ]
    beside = ["-", "-"] if suspect.beside_further_N is None else _found(suspect, suspect.beside_further_N)
    return f"| {' | '.join([suspect.name, answers, *_found(suspect, suspect.primary_N), *beside, *powers])} |"


def of_shares(suspects: Sequence[Suspect]) -> str:
    """Where power drops below one half as fewer of the student's data are served replies, by teacher and epochs."""
    lines = [
        "The share of served replies in a student's data at which power at 0.05 drops below one half, with all of its "
        "served questions.",
        "",
        "| teacher | epochs | test | powers by share | below one half at |",
        "|---|---|---|---|---|",
    ]
    plain = [each for each in suspects if each.kind == "guilty" and _is_plain(each)]
    by_recipe: dict[tuple[str, int, int], list[Suspect]] = defaultdict(list)
    for suspect in plain:
        by_recipe[suspect.facts["teacher"], suspect.facts["epochs"], suspect.facts["seed"]].append(suspect)
    for (teacher, epochs, _), group in sorted(by_recipe.items()):
        for test in TESTS:
            there = [suspect for suspect in group if can_be_tested(suspect, test)]
            powers = {each.facts["share"]: power(each, test, len(each.coins_N))[ALPHAS[0]] for each in there}
            if len(powers) > 1:  # several shares, and not one student alone
                told = ", ".join(f"{share:.0%}: {powers[share]:.2f}" for share in sorted(powers, reverse=True))
                lines.append(f"| {teacher} | {epochs} | {test} | {told} | {share_of_half(powers)} |")
    return "\n".join(lines)


def _is_plain(suspect: Suspect) -> bool:
    """Taught served replies as they are, in the usual way."""
    return suspect.facts["trained_on"] == "served replies" and not suspect.facts.get("trainer_defaults")


def _order(suspect: Suspect) -> tuple[int, str, str, float, int]:
    kinds = ["guilty", "sealed", "innocent"]
    facts = suspect.facts
    return kinds.index(suspect.kind), facts["teacher"], facts["trained_on"], -facts["share"], facts["epochs"]


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
