"""What is asked. A text is never written out: it is a key, and where its runs of characters come from.

The sketch of a text that shares a part with another takes so many of its 64 places from that one, which is what the
sketches of written texts do: the likeness of two is the share of runs that they have in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.accounts import AGAIN, KNOWN, NEW, PIECES, TEMPLATE, TEXT_KINDS, Accounts
from stillroom.testing.traffic.keys import Bytes, Keys, fresh, mixed, number_of, paired, random_bytes, unit
from stillroom.testing.traffic.sources import (
    BANKS,
    Printed,
    bank_texts,
    printed_bank,
    printed_prose,
    prose_texts,
    test_split,
    train_split,
)
from stillroom.testing.traffic.world import World, zipf

NO_LIBRARY, PROSE, FIRST_BANK = -1, 0, 1
_OWN = number_of("own text")
_PROMPT, _SKELETON, _SKETCH, _PLACES = map(number_of, ("prompt", "skeleton", "sketch", "places"))
_OPEN = np.uint64(2**63)
"""Set in the key of a template whose texts each have a skeleton of their own."""
_NO_SKELETON = 0.002
"""The share of new texts that nothing but names and numbers stands in."""
_KNOWN_PROSE, _KNOWN_QUESTIONS = 400, 300


def library_of(bank: str) -> int:
    return FIRST_BANK + BANKS.index(bank)


def own_prints(texts: Printed, rows: npt.NDArray[Any]) -> tuple[Bytes, Bytes, Bytes]:
    return texts.prompts[rows], texts.skeletons[rows], texts.sketches[rows]


@dataclass
class Texts:
    """One row for each call."""

    key: Keys
    """Equal texts have equal keys."""
    template: Keys
    """Whose skeleton it has; 0: one of its own."""
    library: npt.NDArray[np.int64]
    """Which list of real texts it takes from; -1: none, `template` or nothing."""
    piece: npt.NDArray[np.int64]
    """Which text of that list."""
    share: npt.NDArray[np.float64]
    """What it takes: 1 is that text itself."""

    def __len__(self) -> int:
        return len(self.key)

    def put(self, rows: npt.NDArray[Any], texts: Texts) -> None:
        """In place of those of these rows."""
        for name in ("key", "template", "library", "piece", "share"):
            getattr(self, name)[rows] = getattr(texts, name)

    def at(self, rows: npt.NDArray[Any]) -> Texts:
        return Texts(self.key[rows], self.template[rows], self.library[rows], self.piece[rows], self.share[rows])

    @classmethod
    def new(cls, keys: Keys) -> Texts:
        """Of texts that have nothing in common with any other."""
        none = np.zeros(len(keys), np.int64)
        return cls(keys, none.astype(np.uint64), none + NO_LIBRARY, none.copy(), np.zeros(len(keys)))

    @classmethod
    def of_library(cls, library: int, piece: npt.NDArray[np.int64]) -> Texts:
        """Texts of a list, word for word."""
        texts = cls.new(paired(piece, np.full(len(piece), library), number_of("library")))
        texts.library[:], texts.piece[:], texts.share[:] = library, piece, 1.0
        return texts

    @classmethod
    def filled(cls, keys: Keys, template: Keys, share: npt.NDArray[np.float64]) -> Texts:
        """Texts made from templates, all of a template's with its skeleton."""
        texts = cls.new(keys)
        texts.template[:], texts.share[:] = template, share
        return texts

    @classmethod
    def joined(cls, parts: list[Texts]) -> Texts:
        names = ("key", "template", "library", "piece", "share")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def draw_texts(
    generator: np.random.Generator, world: World, accounts: Accounts, caller: npt.NDArray[np.int64]
) -> Texts:
    """For each call, what its account asks: `caller` is the account's row."""
    count = len(caller)
    texts = Texts.new(fresh(generator, count))
    shares = np.cumsum(accounts.texts, axis=1)
    drawn = generator.random(count)
    kind = np.zeros(count, np.int64)
    for step in range(TEXT_KINDS - 1):
        kind += drawn > shares[caller, step]
    assert NEW == 0
    _take_pieces(generator, world, accounts, caller, texts, np.flatnonzero(kind == PIECES))
    _fill_templates(generator, accounts, caller, texts, np.flatnonzero(kind == TEMPLATE))
    again = np.flatnonzero(kind == AGAIN)
    place = np.floor(accounts.own_texts[caller[again]] * generator.random(len(again)) ** 2).astype(np.int64)
    texts.put(again, Texts.new(paired(accounts.key[caller[again]], place, _OWN)))
    _ask_what_is_known(generator, world, texts, np.flatnonzero(kind == KNOWN))
    return texts


def _take_pieces(
    generator: np.random.Generator,
    world: World,
    accounts: Accounts,
    caller: npt.NDArray[np.int64],
    texts: Texts,
    rows: npt.NDArray[np.int64],
) -> None:
    """Texts that have a part in common with one that others write too: each account keeps to a few subjects."""
    prose = len(prose_texts(world.data))
    subject = generator.integers(0, 12, len(rows))
    texts.library[rows] = PROSE
    texts.piece[rows] = paired(accounts.key[caller[rows]], subject, number_of("subject")) % np.uint64(prose)
    texts.share[rows] = generator.uniform(0.02, 0.3, len(rows))


def _fill_templates(
    generator: np.random.Generator,
    accounts: Accounts,
    caller: npt.NDArray[np.int64],
    texts: Texts,
    rows: npt.NDArray[np.int64],
) -> None:
    of = caller[rows]
    number = np.floor(accounts.templates[of] * generator.random(len(rows)) ** 2).astype(np.int64)
    texts.template[rows] = paired(accounts.key[of], number, number_of("template")) & ~_OPEN
    texts.share[rows] = accounts.template_share[of] * generator.uniform(0.9, 1, len(rows))
    # What is filled in changes the skeleton as well, but for quotations, names and numbers: a template of its own then.
    is_open = ~accounts.template_is_quoting[of]
    texts.template[rows[is_open]] |= _OPEN


def _ask_what_is_known(generator: np.random.Generator, world: World, texts: Texts, rows: npt.NDArray[np.int64]) -> None:
    """Texts that many people try on a model: the first ones of well-known lists, the first of them most."""
    test, train = test_split(world.data), train_split(world.data)
    chosen = generator.random(len(rows))
    for low, high, library, choices in (
        (0.0, 0.8, PROSE, min(_KNOWN_PROSE, len(prose_texts(world.data)))),
        (0.8, 0.95, library_of(test), min(_KNOWN_QUESTIONS, len(bank_texts(test, world.data)))),
        (0.95, 1.0, library_of(train), min(_KNOWN_QUESTIONS, len(bank_texts(train, world.data)))),
    ):
        of_it = rows[(low <= chosen) & (chosen < high)]
        texts.put(of_it, Texts.of_library(library, zipf(generator, choices, len(of_it), 0.8)))


@dataclass
class TextPrints:
    prompts: Bytes
    skeletons: Bytes
    sketches: Bytes
    has_skeleton: npt.NDArray[np.bool_]


def print_texts(world: World, texts: Texts, epoch: str) -> TextPrints:
    """As a gateway with the keys of an epoch would."""
    salt = number_of(epoch)
    prompts = random_bytes(texts.key, 16, salt ^ _PROMPT)
    is_open = (texts.template & _OPEN) != 0
    own = (texts.template == 0) | is_open
    skeletons = random_bytes(np.where(own, texts.key, texts.template), 16, salt ^ _SKELETON)
    sketches = random_bytes(texts.key, 64, salt ^ _SKETCH)
    has_skeleton = unit(texts.key, _SKELETON) > _NO_SKELETON
    has_skeleton |= ~own
    taken = random_bytes(texts.key, 64, _PLACES) < np.minimum(texts.share * 256, 255)[:, None]
    filled = np.flatnonzero(texts.template)
    if len(filled):
        of_template = random_bytes(mixed(texts.template[filled], _SKETCH), 64, salt ^ _SKETCH)
        sketches[filled] = np.where(taken[filled], of_template, sketches[filled])
    for library in range(FIRST_BANK + len(BANKS)):
        rows = np.flatnonzero(texts.library == library)
        if not len(rows):
            continue
        bank = BANKS[library - FIRST_BANK]
        printed = printed_prose(world.data, epoch) if library == PROSE else printed_bank(bank, world.data, epoch)
        whole = texts.share[rows] >= 1
        sketches[rows] = np.where(taken[rows] | whole[:, None], printed.sketches[texts.piece[rows]], sketches[rows])
        exact = rows[whole]
        prompts[exact], skeletons[exact], _ = own_prints(printed, texts.piece[exact])
        has_skeleton[exact] = skeletons[exact].any(axis=1)
    return TextPrints(prompts, skeletons, sketches, has_skeleton)
