"""The pairs of a student, its coins, and the further draws that it is compared with: made and written alike for every
teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

from stillroom.store.siblings import Answer, Opening, Pair, messages_json, question_id_of, write_rows

FURTHER = (3, 4, 5, 6)
"""Numbers of the teacher's draws that suspects are compared with; 1 and 2 are the siblings."""


def pairs_of(name: str, asked: Sequence[str], first: Sequence[str], second: Sequence[str]) -> list[Pair]:
    """`name`: what the ids begin with."""
    pairs = []
    for place, text in enumerate(asked):
        messages = [{"role": "user", "content": text}]
        pair_id = f"{name}-{place:05d}"
        pairs.append(Pair(pair_id, question_id_of(messages), messages_json(messages), first[place], second[place]))
    return pairs


def tossed(pairs: Sequence[Pair], salt: str) -> list[Opening]:
    """The same coins for the same salt."""
    coins = Random(salt)
    return [Opening(pair.pair_id, "acct_student", 0, 1 if coins.random() < 0.5 else 0) for pair in pairs]


def write_pairs(
    folder: Path, pairs: Sequence[Pair], openings: Sequence[Opening], further: Sequence[Sequence[str]]
) -> None:
    """`further`: whole draws of a reply to each pair's question; without any there is no table of them."""
    write_rows(folder / "pairs.parquet", Pair, pairs)
    write_rows(folder / "openings.parquet", Opening, openings)
    if further:
        thirds = [
            Answer(pair.question_id, sample, said[place])
            for place, pair in enumerate(pairs)
            for sample, said in enumerate(further)
        ]
        write_rows(folder / "thirds.parquet", Answer, thirds)
