"""Pairs of replies with what opens them: gathered, written down, and checked against what was committed to.

PROBE/pairs.parquet, openings.parquet    `stillroom.store.siblings`
PROBE/calls.jsonl                        `stillroom.probe.logged_call`; empty where no coin was recorded
PROBE/gathered.json                      how many there were, what was left out and why, and whose escrow it was
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stillroom.base.errors import DataError, UsageError
from stillroom.base.escrow_commitment import Drawn, is_opened_by
from stillroom.base.signatures import PublicKeys
from stillroom.probe.exclusions import Reason, read_siblings
from stillroom.probe.logged_call import FILE, LoggedCall, read_calls, write_calls
from stillroom.store.files import read_object, replacing_folder, write_json
from stillroom.store.siblings import Opening, Pair, messages_json, question_id_of, read_rows, write_rows

PAIRS_FILE, OPENINGS_FILE, CALLS_FILE, COUNTS_FILE = "pairs.parquet", "openings.parquet", FILE, "gathered.json"

NoSibling = Literal["temperature_zero", "several_replies", "hung_up", "not_ok", "not_drawn"]
WITHOUT_IN_WORDS: Mapping[NoSibling, str] = {
    "temperature_zero": "at temperature zero the model would have said the same again: there is no sibling",
    "several_replies": "several replies were asked for at once",
    "hung_up": "the client hung up before anything could be kept",
    "not_ok": "the call failed, or was refused",
    "not_drawn": "not in the escrow's sample, or its account did not agree to it",
}


@dataclass(slots=True)
class Gathered:
    """`found` = pairs + what was left out: nothing disappears."""

    pairs: list[Pair] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    """One for each pair, in the same order."""
    left_out: Counter[Reason] = field(default_factory=Counter)
    calls: list[LoggedCall] = field(default_factory=list)
    """One for each pair, in the same order; none where no coin was recorded."""
    without_sibling: Counter[NoSibling] = field(default_factory=Counter)
    """Calls of the same accounts of which no second reply was drawn or kept: none of them is among `found`."""
    by_account: Counter[str] = field(default_factory=Counter)
    """Pairs."""
    escrow: Path | None = None
    """The folder that they were opened from; none where no coin was recorded."""

    @property
    def found(self) -> int:
        return len(self.pairs) + self.left_out.total()

    def add(self, pair: Pair, opening: Opening, call: LoggedCall | None = None) -> None:
        self.pairs.append(pair)
        self.openings.append(opening)
        self.by_account[opening.account] += 1
        if call is not None:
            self.calls.append(call)

    def counts(self) -> dict[str, Any]:
        return {
            "found": self.found,
            "pairs": len(self.pairs),
            "left_out": dict(self.left_out.most_common()),
            "without_sibling": dict(self.without_sibling.most_common()),
            "by_account": dict(sorted(self.by_account.items())),
        }


def write_gathered(folder: Path, gathered: Gathered) -> None:
    """A new folder that is its owner's alone. Raises UsageError where it is there already."""
    with replacing_folder(folder) as aside:
        if folder.exists():
            raise UsageError(
                f"{folder} is there already.", "Name another folder: plans may have been made over this one."
            )
        aside.chmod(0o700)
        write_rows(aside / PAIRS_FILE, Pair, gathered.pairs)
        write_rows(aside / OPENINGS_FILE, Opening, gathered.openings)
        write_calls(aside / CALLS_FILE, gathered.calls)
        escrow = None if gathered.escrow is None else str(gathered.escrow.absolute())
        write_json(aside / COUNTS_FILE, {**gathered.counts(), "escrow": escrow})


def read_gathered(folder: Path) -> Gathered:
    """Raises DataError or StoreError where it is not what `write_gathered` wrote."""
    counts = read_object(folder / COUNTS_FILE)
    pairs, openings = read_rows(folder / PAIRS_FILE, Pair), read_rows(folder / OPENINGS_FILE, Opening)
    calls = read_calls(folder / CALLS_FILE)
    if [pair.pair_id for pair in pairs] != [opening.pair_id for opening in openings]:
        raise DataError(f"The pairs and the openings of {folder} are not of each other.", "Gather them again.")
    try:
        left_out, without = Counter(counts["left_out"]), Counter(counts["without_sibling"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / COUNTS_FILE} does not say what was left out.", "Gather them again.") from error
    by_account = Counter(opening.account for opening in openings)
    return Gathered(pairs, openings, left_out, calls, without, by_account, escrow_of(folder))


def escrow_of(folder: Path) -> Path | None:
    """The folder that the pairs gathered here were opened from; it need not be there any more."""
    named = read_object(folder / COUNTS_FILE).get("escrow")
    return Path(named) if isinstance(named, str) else None


def pair_of(drawn: Drawn, salt: bytes, escrow_digest: str, row: Mapping[str, Any]) -> tuple[Pair, Opening] | Reason:
    """A record of the escrow as a pair in the order drawn, with its opening; or why it is none.

    `row`: of the call, from the log.
    """
    if not is_opened_by(escrow_digest, drawn, salt) or row.get("account") != drawn.account:
        return "log_differs"
    bodies = (drawn.served, drawn.sealed) if drawn.coin == 0 else (drawn.sealed, drawn.served)
    cut = drawn.coin if row.get("status") == "hung_up" else None
    read = read_siblings(row.get("route", ""), drawn.request, *bodies, cut)
    if isinstance(read, str):
        return read
    question = question_id_of(read.messages)
    pair = Pair(drawn.call_id, question, messages_json(read.messages), read.first, read.second)
    opening = Opening(
        drawn.call_id, drawn.account, drawn.at, drawn.coin, "recorded", escrow_digest, salt, row["route"],
        drawn.request, drawn.served, drawn.sealed,
    )  # fmt: skip
    return pair, opening


def evidence_problem(pair: Pair, opening: Opening, call: LoggedCall | None, keys: PublicKeys | None) -> str | None:
    """What is wrong with one pair, in a sentence; None where all of it holds.

    Checked: the log's row commits to these bodies under this coin; the two texts follow from the bodies, in the order
    drawn; the row stood in the log of whose owner the keys are. `keys`: None: signatures are not looked at. Of a pair
    whose coin is `assumed` nothing was committed to, so that nothing can be wrong.
    """
    name = f"Pair {pair.pair_id}"
    if pair.pair_id != opening.pair_id:
        return f"{name} has the opening of another ({opening.pair_id})."
    if opening.coin_from == "assumed":
        return None
    if call is None or call.call_id != pair.pair_id:
        return f"{name} has no row of the call log."
    parts = (opening.escrow_digest, opening.salt, opening.request, opening.served, opening.sealed)
    if any(part is None for part in parts):
        return f"{name} has an opening without the bodies that it opens."
    if call.row.get("escrow_digest") != opening.escrow_digest:
        return f"{name}: the call log commits to another record than the one that is opened."
    drawn = Drawn(
        pair.pair_id,
        opening.account,
        opening.at,
        opening.coin,
        *parts[2:],  # type: ignore[arg-type]
    )
    found = pair_of(drawn, parts[1], parts[0], call.row)  # type: ignore[arg-type]
    if isinstance(found, str):
        return f"{name} is none: {found}."
    if found[0] != pair:
        return f"{name}: its texts do not follow from the bodies that were committed to."
    try:
        if keys is not None:
            call.signed_at(keys)
        elif not call.is_in_segment():
            return f"{name}: its row is not in the segment of the log that it is said to be in."
    except DataError as refused:
        return f"{name}: {refused.what}"
    return None


def evidence_problems(
    pairs: Sequence[Pair], openings: Sequence[Opening], calls: Sequence[LoggedCall], keys: PublicKeys | None
) -> list[str]:
    """What is wrong with any of the pairs, a sentence each; empty where all is as it was committed to."""
    opening_of = {opening.pair_id: opening for opening in openings}
    call_of = {call.call_id: call for call in calls}
    problems = []
    for pair in pairs:
        opening = opening_of.get(pair.pair_id)
        if opening is None:
            problems.append(f"Pair {pair.pair_id} has no opening.")
        elif problem := evidence_problem(pair, opening, call_of.get(pair.pair_id), keys):
            problems.append(problem)
    return problems
