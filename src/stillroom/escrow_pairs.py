"""From a gateway's escrow and its log of calls to pairs of replies: the one place where `serve` and `probe` meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard

from stillroom.base.errors import StoreError
from stillroom.base.progress import Progress, Silent, loading
from stillroom.probe.dependence import independent
from stillroom.probe.exclusions import Reason
from stillroom.probe.logged_call import LoggedCall, LogStamp
from stillroom.probe.pairs import Gathered, NoSibling, pair_of
from stillroom.serve.escrow.escrow import FOLDER, Escrow
from stillroom.serve.escrow.record_file import Opened
from stillroom.serve.keyring import FOLDER as KEYS
from stillroom.serve.keyring import Keyring
from stillroom.serve.meter.chain import RECORD_TYPE, ChainLine, read_chain
from stillroom.serve.meter.rows import EARLIER_COLUMNS, canonical_row
from stillroom.serve.meter.seal_request import have_sealed
from stillroom.serve.meter.time_stamps import next_stamp
from stillroom.serve.settings import GatewaySettings
from stillroom.store.calls import CallTable, SealedSegment, sealed_segments, worker_folders
from stillroom.store.merkle import MerkleTree
from stillroom.store.secrets import Secrets
from stillroom.store.siblings import Opening, Pair

_SEAL_S = 120
_PACK, _UNPACK = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
_TEXT_ROUTES = ("chat", "completions", "responses", "messages")
_MOST_LATER = 500
"""Records between a segment's and the one that was stamped: three weeks of hours."""
_SILENT = Silent()
_DAMAGED = "Put it back from a backup; `stillroom calls verify` says what is wrong."


class _Found(NamedTuple):
    """A call that commits to a sealed reply, and where it stands in the log."""

    row: dict[str, Any]
    segment: SealedSegment


def gather_pairs(
    state: Path,
    settings: GatewaySettings,
    accounts: Collection[str] | None,
    by: str,
    most: int | None = None,
    progress: Progress = _SILENT,
) -> Gathered:
    """Open the escrow's records of these accounts (None: of all), and take what can be compared.

    `by`: who does it, for the escrow's record of actions. `most`: pairs of each account, chosen by their calls' ids,
    which are random; None: all, whose bodies are then in memory. Whether or not the gateway runs: what its workers
    have not sealed of their logs is sealed first. Raises StoreError for a log or an escrow that is damaged.
    """
    calls = state / "calls"
    if not calls.is_dir():
        raise StoreError(f"{calls} is not there: this gateway has not passed on a call yet.", "Is it the right file?")
    with loading(progress, "the log of calls"):
        _have_all_sealed(calls, state)
    gathered = Gathered(escrow=state / FOLDER)
    logged = _logged_calls(calls, accounts, gathered.without_sibling)
    escrow = Escrow(state / FOLDER, Secrets.of(state), settings.escrow)
    found: list[tuple[int, Pair, Opening]] = []
    seen: set[str] = set()
    for call_id, opened in escrow.opened_records(accounts, by, "pairs"):
        seen.add(call_id)
        progress.update("open", len(seen), len(logged))
        made = _pair_of(opened, logged.get(call_id))
        if isinstance(made, str):
            gathered.left_out[made] += 1
        else:
            found.append((logged[call_id].row["at"], made[0], _with_bodies(made[1], _PACK.compress)))
    if gone := len(logged.keys() - seen):
        gathered.left_out["record_gone"] = gone
    kept = _chosen(independent(found, gathered.left_out), most, gathered.left_out)
    proofs = _proofs([logged[pair.pair_id] for pair, _ in kept])
    for pair, opening in kept:
        gathered.add(pair, _with_bodies(opening, _UNPACK.decompress), proofs[pair.pair_id])
    return gathered


def _with_bodies(opening: Opening, change: Callable[[bytes], bytes]) -> Opening:
    """A stream is ten times its text, and most of it the same again and again: until it is chosen, it is packed."""
    bodies: dict[str, Any] = {name: change(getattr(opening, name)) for name in ("request", "served", "sealed")}
    return replace(opening, **bodies)


def _chosen(
    kept: list[tuple[Pair, Opening]], most: int | None, left_out: Counter[Reason]
) -> list[tuple[Pair, Opening]]:
    """`most` of each account, in their order."""
    if most is None:
        return kept
    of_account: dict[str, list[str]] = {}
    for pair, opening in kept:
        of_account.setdefault(opening.account, []).append(pair.pair_id)
    # The end of an id is random; its beginning says when the call came.
    drawn = {name for names in of_account.values() for name in sorted(names, key=lambda each: each[::-1])[:most]}
    if beyond := len(kept) - len(drawn):
        left_out["not_needed"] += beyond
    return [each for each in kept if each[0].pair_id in drawn]


def _pair_of(opened: Opened | None, call: _Found | None) -> tuple[Pair, Opening] | Reason:
    if opened is None:
        return "damaged"
    if call is None:
        return "not_in_log"
    return pair_of(opened.drawn, opened.salt, call.row["escrow_digest"], call.row)


def _have_all_sealed(calls: Path, state: Path) -> None:
    if not (state / KEYS).is_dir():  # a new key would sign what older ones have to be known for
        raise StoreError(f"{state} has no signing keys.", "Put them back from a backup.")
    keyring = Keyring.open(state)
    for folder in worker_folders(calls):
        have_sealed(folder, lambda record: keyring.active.sign(RECORD_TYPE, record), _SEAL_S)


def _logged_calls(calls: Path, accounts: Collection[str] | None, without: Counter[NoSibling]) -> dict[str, _Found]:
    """The accounts' calls that commit to a record, by their ids; the others are counted by why they do not."""
    found: dict[str, _Found] = {}
    for worker in worker_folders(calls):
        for segment in sealed_segments(worker):
            table = _of_accounts(_read(segment, "calls"), accounts)
            table = table.filter(pc.is_in(table["route"], value_set=pa.array(_TEXT_ROUTES)))
            commits = pc.is_valid(table["escrow_digest"])
            for row in table.filter(commits).to_pylist():
                found[row["call_id"]] = _Found(row, segment)
            others = table.filter(pc.invert(commits)).group_by(["temperature", "n", "status"])
            for row in others.aggregate([([], "count_all")]).to_pylist():
                without[_why_none(row)] += row["count_all"]
    return found


def _why_none(row: Mapping[str, Any]) -> NoSibling:
    if row["temperature"] == 0:
        return "temperature_zero"
    if (row["n"] or 1) != 1:
        return "several_replies"
    if row["status"] == "hung_up":
        return "hung_up"
    return "not_drawn" if row["status"] == "ok" else "not_ok"


def _proofs(calls: Iterable[_Found]) -> dict[str, LoggedCall]:
    """That each of these calls stood in the log, by its id. Raises StoreError where one is not what was sealed."""
    by_segment: dict[SealedSegment, list[dict[str, Any]]] = {}
    for call in calls:
        by_segment.setdefault(call.segment, []).append(call.row)
    chains: dict[Path, list[ChainLine]] = {}
    proofs: dict[str, LoggedCall] = {}
    for segment, rows in by_segment.items():
        worker = segment.folder.parent
        lines = chains.setdefault(worker, read_chain(worker))
        line = next((each for each in lines if each.record.get("segment") == segment.number), None)
        if line is None:
            raise StoreError(f"{segment.folder} has no record in its chain.", _DAMAGED)
        proofs |= _of_segment(segment, line, _stamp(worker, lines, line), rows)
    return proofs


def _stamp(worker: Path, lines: Sequence[ChainLine], line: ChainLine) -> LogStamp | None:
    """What an authority outside signed of a record, or of one soon after it."""
    index = lines.index(line)
    found = next_stamp(worker, lines[: index + _MOST_LATER], index)
    if found is None:
        return None
    stamped, response = found
    return LogStamp(tuple(each.record for each in lines[index + 1 : stamped + 1]), response)


def _of_segment(
    segment: SealedSegment, line: ChainLine, stamp: LogStamp | None, rows: list[dict[str, Any]]
) -> dict[str, LoggedCall]:
    commitments: list[Any] = _read(segment, "commitments")["commitment"].to_pylist()
    tree = MerkleTree(each or b"" for each in commitments)
    call_ids = pa.array([row["call_id"] for row in rows])
    sketches = {row["call_id"]: row["minhash"] for row in _of_calls(segment, "sketches", call_ids)}
    receipts = {row["call_id"]: row["receipt"] for row in _of_calls(segment, "receipts", call_ids)}
    earlier = {row["call_id"]: row for row in _of_calls(segment, "earlier_prints", call_ids)}
    proofs = {}
    for row in rows:
        name = row["call_id"]
        prints = earlier.get(name)
        of_earlier = None if prints is None else {column: prints[column] for column in EARLIER_COLUMNS}
        canonical = canonical_row(row, sketches.get(name), of_earlier, receipts.get(name))
        path = tuple(tree.path(row["row"])) if 0 <= row["row"] < len(commitments) else ()
        call = LoggedCall(orjson.loads(canonical), row["salt"], row["row"], path, line.record, line.jws, stamp)
        if not call.is_in_segment():
            raise StoreError(f"The call {name} in {segment.folder} is not what was sealed.", _DAMAGED)
        proofs[name] = call
    return proofs


def _of_accounts(table: pa.Table, accounts: Collection[str] | None) -> pa.Table:
    if accounts is None:
        return table
    return table.filter(pc.is_in(table["account"], value_set=pa.array(sorted(accounts), pa.string())))


def _of_calls(segment: SealedSegment, name: CallTable, call_ids: pa.StringArray) -> list[dict[str, Any]]:
    table = _read(segment, name)
    rows: list[dict[str, Any]] = table.filter(pc.is_in(table["call_id"], value_set=call_ids)).to_pylist()
    return rows


def _read(segment: SealedSegment, name: CallTable) -> pa.Table:
    path = segment.table(name)
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} cannot be read as Parquet.", _DAMAGED) from error
