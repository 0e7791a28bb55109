"""What a campaign asks, and which of its accounts asks what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.calls import Draft
from stillroom.testing.traffic.keys import Keys, fresh, mixed, paired, unit
from stillroom.testing.traffic.sources import bank_texts, prose_texts
from stillroom.testing.traffic.texts import PROSE, Texts, library_of
from stillroom.testing.traffic.world import World

if TYPE_CHECKING:
    from stillroom.testing.traffic.campaign import Campaign

SOURCES = ("bank", "bank_part", "reworded", "template", "seeds")
_QUESTIONS_OF_A_TEMPLATE = 1_500
_SEEDS = 175
_ASKED_BY = 3

Integers = npt.NDArray[np.int64]


def calls_needed(setting: Campaign) -> int:
    """Of the whole campaign, with those that are as a customer's."""
    return max(setting.accounts + setting.replaced, round(setting.questions / (1 - setting.dilution)))


def asking_rows(generator: np.random.Generator, draft: Draft, setting: Campaign) -> Integers:
    """Rows of the calls that ask the campaign's questions, by account."""
    count = min(setting.questions, len(draft.calls))
    return np.sort(generator.permutation(len(draft.calls))[:count])


def ask_questions(
    generator: np.random.Generator, world: World, draft: Draft, rows: Integers, setting: Campaign
) -> None:
    """Puts the questions in place of what these calls ask."""
    calls = draft.calls
    order = rows[np.lexsort((calls.at[rows], calls.caller[rows]))]
    pool = _pool(generator, world, setting)
    question, wording = _divided(generator, pool, calls.caller[order], setting)
    calls.texts.put(order, _texts(generator, world, question, wording, setting))


def _pool(generator: np.random.Generator, world: World, setting: Campaign) -> Integers:
    """The numbers of the questions that are asked from, in the bank's order."""
    if setting.source in ("template", "seeds"):
        return np.arange(setting.questions)
    bank = len(bank_texts(setting.bank, world.data))
    if setting.source == "bank_part":
        return np.sort(generator.permutation(bank)[: bank // 2])
    return np.arange(bank)


def _divided(
    generator: np.random.Generator, pool: Integers, caller: Integers, setting: Campaign
) -> tuple[Integers, Integers]:
    """Of each ask, by account and time: which question, and in which round through the pool."""
    count = len(caller)
    if setting.split == "in_order":
        place = np.arange(count)
        return pool[place % len(pool)], place // len(pool)
    if setting.split == "random":
        begins = np.flatnonzero(np.diff(caller, prepend=-1))
        lengths = np.diff(np.append(begins, count))
        own = [np.resize(generator.permutation(pool), length) for length in lengths]
        return np.concatenate(own), np.zeros(count, np.int64)
    if setting.split == "repeated":
        chosen = generator.permutation(pool)[: -(-count // _ASKED_BY)]
        rounds = [generator.permutation(chosen) for _ in range(-(-count // len(chosen)))]
        return np.concatenate(rounds)[:count], np.zeros(count, np.int64)
    rounds = [generator.permutation(pool) for _ in range(-(-count // len(pool)))]
    return np.concatenate(rounds)[:count], np.arange(count) // len(pool)


def _texts(
    generator: np.random.Generator, world: World, question: Integers, wording: Integers, setting: Campaign
) -> Texts:
    if setting.source in ("bank", "bank_part"):
        return Texts.of_library(library_of(setting.bank), question)
    key = _keys(generator, question, wording)
    if setting.source == "template":
        templates = fresh(generator, 1 + setting.questions // _QUESTIONS_OF_A_TEMPLATE)
        return Texts.filled(key, templates[question % len(templates)], 0.5 + 0.3 * unit(key, 0))
    texts = Texts.new(key)
    if setting.source == "reworded":
        texts.library[:], texts.piece[:] = library_of(setting.bank), question
        texts.share[:] = 0.35 + 0.3 * unit(key, 0)
        return texts
    seeds = generator.permutation(len(prose_texts(world.data)))[:_SEEDS]
    texts.library[:], texts.piece[:] = PROSE, seeds[(mixed(key, 1) % np.uint64(len(seeds))).astype(np.int64)]
    texts.share[:] = 0.03 + 0.3 * unit(key, 0)
    return texts


def _keys(generator: np.random.Generator, question: Integers, wording: Integers) -> Keys:
    """Equal for the same question in the same round, and in no other campaign."""
    own = np.repeat(fresh(generator, 1), len(question))
    return paired(own ^ question.astype(np.uint64), wording, 0)
