"""People who ask the questions of known banks: benchmark runners, a tutoring service, a researcher with a permit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.accounts import AGAIN, NEW
from stillroom.testing.traffic.calls import Draft, draw_calls
from stillroom.testing.traffic.keys import fresh, unit
from stillroom.testing.traffic.sources import bank_texts, test_split, test_splits, train_split
from stillroom.testing.traffic.texts import Texts, library_of
from stillroom.testing.traffic.twins.shaping import HOUR_US, asking_only, customers, within_hours
from stillroom.testing.traffic.world import DAY_US, EVALUATION_PROGRAM, NEW_MODEL, VERSIONS, World, zipf

_RUNS = 3
_MOST_QUESTIONS = 1_319


def benchmark_runner(generator: np.random.Generator, world: World) -> Draft:
    """Eight organisations evaluate models with one well-known harness: whole test splits, in order, again and again."""
    count, banks = 8, test_splits(world.data)
    sizes = np.array([min(len(bank_texts(bank, world.data)), _MOST_QUESTIONS) for bank in banks])
    bank = np.arange(count) % len(banks)
    size, runs = sizes[bank], generator.integers(1, _RUNS + 1, count)
    accounts = customers(generator, world, "benchmark_runner", count, 100)
    accounts.with_values(
        volume=runs * size, program=EVALUATION_PROGRAM, second_agent=-1, users=0, systems=0, temperature=0.0,
        pinned=generator.integers(VERSIONS - 4, VERSIONS, count), later_turns=0.0,
    )  # fmt: skip
    draft = draw_calls(generator, world, accounts)
    calls = draft.calls
    place = np.concatenate([np.arange(volume) for volume in accounts.volume])
    question, run = place % size[calls.caller], calls.caller * _RUNS + place // size[calls.caller]
    for number, name in enumerate(banks):
        rows = np.flatnonzero(bank[calls.caller] == number)
        calls.texts.put(rows, Texts.of_library(library_of(name), question[rows]))
    begins, hours = generator.uniform(0, world.days - 1, count * _RUNS), generator.uniform(0.5, 3, count * _RUNS)
    model = generator.integers(0, NEW_MODEL + 1, count * _RUNS)
    model = np.where((model == NEW_MODEL) & (begins < world.launch_day), 0, model)
    calls.model = model[run]
    within = (question + generator.random(len(calls))) / size[calls.caller]
    calls.at = world.start_at + (begins[run] * DAY_US + within * hours[run] * HOUR_US).astype(np.int64)
    return draft


def tutoring(generator: np.random.Generator, world: World) -> Draft:
    """Three services pass on what hundreds of pupils ask in the afternoon: school questions, the popular ones often."""
    accounts = customers(generator, world, "tutoring", 3, 4_000, 0.2)
    accounts.with_values(users=generator.integers(300, 1_200, len(accounts)), later_turns=0.5)
    draft = draw_calls(generator, world, asking_only(accounts, (NEW, 0.8), (AGAIN, 0.2)))
    within_hours(generator, draft, generator.uniform(12, 16, len(accounts)), 7)
    drawn = generator.random(len(draft.calls))
    for bank, rows in (
        (train_split(world.data), np.flatnonzero(drawn < 0.35)),
        (test_split(world.data), np.flatnonzero((drawn >= 0.35) & (drawn < 0.5))),
    ):
        question = zipf(generator, len(bank_texts(bank, world.data)), len(rows), 0.7)
        # The first of a bank are not the popular ones in school.
        question = generator.permutation(len(bank_texts(bank, world.data)))[question]
        draft.calls.texts.put(rows, _as_pupils_type(generator, bank, question))
    return draft


def researcher_with_permit(generator: np.random.Generator, world: World) -> Draft:
    """Two customers ask a training split as their permit says, and other things without it."""
    bank = train_split(world.data)
    questions = min(len(bank_texts(bank, world.data)), 3_000)
    accounts = customers(generator, world, "researcher_with_permit", 2, 200, 0.2)
    own = accounts.volume.copy()
    accounts.volume = accounts.volume + questions
    draft = draw_calls(generator, world, accounts)
    for account in range(len(accounts)):
        rows = np.flatnonzero(draft.calls.caller == account)
        permitted = np.sort(generator.permutation(rows)[: len(rows) - own[account]])
        draft.calls.texts.put(permitted, Texts.of_library(library_of(bank), np.arange(len(permitted)) % questions))
        draft.calls.permit[permitted] = account + 1
    return draft


def _as_pupils_type(generator: np.random.Generator, bank: str, question: npt.NDArray[np.int64]) -> Texts:
    """Half of them copied, the others retyped with slips and leavings-out."""
    texts = Texts.of_library(library_of(bank), question)
    retyped = np.flatnonzero(generator.random(len(question)) < 0.5)
    keys = fresh(generator, len(retyped))
    slips = Texts.new(keys)
    slips.library[:], slips.piece[:] = library_of(bank), question[retyped]
    slips.share[:] = 0.4 + 0.55 * unit(keys, 0)
    texts.put(retyped, slips)
    return texts
