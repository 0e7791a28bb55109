"""A pack: all that somebody needs to ask a suspect, and nothing of which reply was served.

    plan.json      what was fixed beforehand; the sampling and the number of samples stand in it
    pairs.parquet  the questions, and both replies to each, in the order drawn
    plans.jsonl    the owner's log up to this plan, signed
    stamps/        what time stamping authorities said of it
    keys.json      the public key that signed the log

Who has asked gives back a folder: answers.parquet, likelihoods.parquet or both, and asked.json (`probe.asked`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.base.errors import DataError, UsageError
from stillroom.base.signatures import PublicKeys
from stillroom.probe.bounded import read_bounded, read_bounded_rows
from stillroom.probe.log_checks import wrong_signatures
from stillroom.probe.plan import Plan, pairs_digest_of, read_plan
from stillroom.probe.plan_log import LogLine, read_log, write_log
from stillroom.store.files import replacing_folder, write_atomically, write_json
from stillroom.store.siblings import Pair, write_rows

PLAN, PAIRS, LOG, STAMPS, KEYS = "plan.json", "pairs.parquet", "plans.jsonl", "stamps", "keys.json"
ANSWERS, LIKELIHOODS = "answers.parquet", "likelihoods.parquet"


@dataclass(frozen=True, slots=True)
class Pack:
    plan: Plan
    pairs: list[Pair]
    """In the order of their ids."""


def write_pack(
    folder: Path,
    plan: Plan,
    pairs: Sequence[Pair],
    log: Sequence[LogLine],
    stamps: Sequence[Path],
    keys: Mapping[str, Any],
) -> None:
    """A whole folder or none. `log`: up to the record of this plan. `stamps`: the files of it. `keys`: a JWK set."""
    with replacing_folder(folder) as aside:
        write_atomically(aside / PLAN, plan.to_bytes())
        write_rows(aside / PAIRS, Pair, in_order(pairs))
        write_log(aside / LOG, log)
        write_json(aside / KEYS, keys)
        copy_stamps(stamps, aside / STAMPS)


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Of their ids, which say nothing of the coins."""
    return sorted(pairs, key=lambda pair: pair.pair_id)


def copy_stamps(stamps: Iterable[Path], to: Path) -> None:
    for stamp in stamps:
        write_atomically(to / stamp.name, stamp.read_bytes())


def read_pack(folder: Path) -> Pack:
    """Raises DataError where a file is missing, the pairs are not those of the plan, or its log does not have the plan:
    one that is in no log could be dropped when its answers are known. StoreError for a log that is none.
    """
    if not (folder / PLAN).exists() and (folder / "plans").is_dir():
        raise DataError(f"{folder} is no pack, but a folder of plans.", f"Name a plan's: {folder / 'plans'}/NAME/pack")
    if not folder.exists() and (folder.parent / PLAN).exists():
        raise DataError(
            f"{folder} is not there: the plan was made, and its pack was not.",
            "Run the same stillroom probe plan again; or stillroom probe pack makes one for somebody.",
        )
    plan = read_plan(read_bounded(folder / PLAN), str(folder / PLAN))
    pairs = in_order(read_bounded_rows(folder / PAIRS, Pair))
    check_pairs(plan, pairs, str(folder / PAIRS))
    _check_recorded(folder, plan)
    return Pack(plan, pairs)


def _check_recorded(folder: Path, plan: Plan) -> None:
    log = read_log(folder / LOG)
    last = log[-1].record if log else None
    if last is None or (last.event, last.plan_digest) != ("planned", plan.digest):
        raise DataError(
            f"{folder / LOG} does not end with the plan {plan.name}: it was never recorded.", "Ask for a whole pack."
        )
    keys = PublicKeys.from_jwks(read_bounded(folder / KEYS), str(folder / KEYS))
    for problem in wrong_signatures(log, keys):
        raise DataError(f"{folder / LOG}: {problem}", "Take the pack again.")


def check_pairs(plan: Plan, pairs: Sequence[Pair], name: str) -> None:
    """Raises DataError where these are not the plan's pairs. `name`: of their file."""
    if pairs_digest_of(pairs) != plan.pairs_digest:
        raise DataError(f"{name} does not hold the pairs of the plan {plan.name}.", "Take the pack again.")


def copy_folder(folder: Path, to: Path) -> None:
    """A pack or a bundle for somebody else: a folder of its own. Raises UsageError where there is one already."""
    with replacing_folder(to) as aside:
        if to.exists():
            raise UsageError(f"{to} is there already.", "Name a folder that is not.")
        shutil.copytree(folder, aside, dirs_exist_ok=True)
