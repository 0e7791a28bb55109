"""How fast `stillroom verify` holds a data set's rows against their receipts, and whether it finds what was altered.

    python -m benchmarks.verify_receipts [--rows 100000] [--altered 100] [--rounds 3] [--folder DIR]

A data set is signed row by row by an owner of its own and written as the check writes one. It is verified as it is,
in a process of its own, whose highest memory is printed with that of a tenth of the rows. Then it is written again with
so many rows altered in each of the ways of `benchmarks.verify_alterations`, its manifest made anew as a forger would,
and verified: every altered row has to be named with the right reason, and no other row. Then with permits that allow
less than was used, with one that is revoked, and without any.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.verify_alterations import ALTERATIONS, MODEL, Maker, Row, write_data_set

from stillroom.check.receipts.run import verify_receipts

_BLOCK, _BLOCKS_AHEAD = 2000, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--altered", type=int, default=100, help="rows for each way of altering one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="a folder for the data sets, which stay there; temporary without it"
    )
    parser.add_argument("--verify", nargs=2, metavar=("FOLDER", "KEYS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.verify:
        measure(Path(arguments.verify[0]), arguments.verify[1])
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        maker = Maker()
        keys = folder / "keys.json"
        folder.mkdir(parents=True, exist_ok=True)
        keys.write_bytes(maker.owner.keys())
        honest(folder, maker, keys, arguments.rows, arguments.rounds)
        altered(folder, maker, keys, arguments.rows, arguments.altered)
        of_permits(folder, maker, keys, arguments.rows, arguments.altered)


def honest(folder: Path, maker: Maker, keys: Path, count: int, rounds: int) -> None:
    for name, rows in (("tenth", count // 10), ("whole", count)):
        started = time.monotonic()
        write_data_set(folder / name, signed(maker, rows), maker.permits)
        size = sum(file.stat().st_size for file in (folder / name).rglob("*") if file.is_file())
        print(f"{rows:,} rows signed and written in {time.monotonic() - started:.0f} s, {size / 1e6:.0f} MB")
        for _ in range(rounds if name == "whole" else 1):
            words = [sys.executable, "-m", "benchmarks.verify_receipts", "--verify", str(folder / name), str(keys)]
            print("  " + subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())


def measure(folder: Path, keys: str) -> None:
    started = time.monotonic()
    facts = verify_receipts(folder, keys)
    took_s = time.monotonic() - started
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    cpu_s = sum(each.ru_utime + each.ru_stime for each in used)
    print(
        f"{facts['rows']:,} rows verified in {took_s:.1f} s on {len(os.sched_getaffinity(0))} cores:"
        f" {facts['rows'] / took_s:,.0f} rows/s, {facts['bad']:,} bad; {cpu_s:.1f} s of processor time; highest memory"
        f" {own:.0f} MB, and at most {used[1].ru_maxrss / 1024:.0f} MB of each of its processes"
    )


def altered(folder: Path, maker: Maker, keys: Path, count: int, each: int) -> None:
    """Among rows that are as they should be, `each` rows altered in every way."""
    expected: dict[int, tuple[str, frozenset[str]]] = {}

    def rows() -> Iterator[Row]:
        number = -1
        honest_rows = signed(maker, count // 2)
        for kind, (alter, reasons) in ALTERATIONS.items():
            for one in range(each):
                for row in islice(honest_rows, 3):
                    number += 1
                    yield row
                for row in alter(maker, 1_000_000 + 1000 * one + 10 * list(ALTERATIONS).index(kind)):
                    number += 1
                    yield row
                expected[number] = (kind, reasons)
        yield from honest_rows

    write_data_set(folder / "altered", rows(), maker.permits)
    out = folder / "altered.jsonl"
    facts = verify_receipts(folder / "altered", str(keys), out=out)
    found = {bad["row"]: bad["reason"] for bad in bad_rows(out)}
    print(f"\nOf {facts['rows']:,} rows, {len(expected):,} altered:")
    rightly = Counter(kind for row, (kind, reasons) in expected.items() if found.get(row) in reasons)
    for kind in ALTERATIONS:
        print(f"  {kind:28} {rightly[kind]:4} of {each} found, and named as what they are")
    print(f"  honest rows called bad: {len(found.keys() - expected.keys())}")
    assert rightly.total() == len(expected) == len(found), "not all were found, or others were"
    lines(folder, keys, each)


def lines(folder: Path, keys: Path, each: int) -> None:
    """Lines altered, and the tables left as they are."""
    path = folder / "tenth" / "train.jsonl"
    was = path.read_bytes()
    changed = was.splitlines(keepends=True)
    for number in range(each):
        changed[7 * number] = changed[7 * number].replace(b"Question", b"question", 1)
    path.write_bytes(b"".join(changed))
    facts = verify_receipts(folder / "tenth", str(keys))
    path.write_bytes(was)
    print(f"  {'line changed, table not':28} {facts['reasons'].get('altered_lines', 0):4} of {each} found")
    assert facts["reasons"] == {"altered_lines": each}


def of_permits(folder: Path, maker: Maker, keys: Path, count: int, each: int) -> None:
    """Every row is as it was signed; what differs is what the permits allow."""
    rows = count // 10
    begun = int(time.time()) - 86_400
    less_calls = maker.owner.permit([MODEL], jti="the-permit", nbf=begun, calls=rows - each)
    less_tokens = maker.owner.permit([MODEL], jti="the-permit", nbf=begun, tokens=320 * (rows - each))
    revoked = folder / "revoked.json"
    published = json.loads(keys.read_bytes()) | {"revoked_permits": [{"jti": "the-permit", "revoked_at": 1}]}
    revoked.write_text(json.dumps(published))
    cases: Sequence[tuple[str, list[str], Path, dict[str, int]]] = (
        (f"a permit for {each} calls less", [less_calls], keys, {"permit_calls": each}),
        (f"a permit for the tokens of {each} less", [less_tokens], keys, {"permit_tokens": each}),
        ("a permit that is revoked", maker.permits, revoked, {"permit_revoked": rows}),
        ("no permit at all", [], keys, {"other_permit": rows}),
    )
    print(f"\nThe same {rows:,} rows with")
    for words, permits, document, expected in cases:
        manifest = folder / "tenth" / "manifest.json"
        value = json.loads(manifest.read_bytes())
        manifest.write_text(json.dumps(value | {"permits": [{"jws": permit} for permit in permits]}))
        facts = verify_receipts(folder / "tenth", str(document))
        print(f"  {words:36} {facts['bad']:6,} refused: {facts['reasons']}")
        assert facts["reasons"] == expected, words


def bad_rows(out: Path) -> Iterator[dict[str, Any]]:
    with out.open("rb") as file:
        yield from map(json.loads, file)


def signed(maker: Maker, count: int) -> Iterator[Row]:
    """On all cores: to sign a row takes as long as to verify it."""
    blocks = [(maker.words, maker.permit, first, min(first + _BLOCK, count)) for first in range(0, count, _BLOCK)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[list[Row]]] = deque()
        for block in blocks:
            waiting.append(pool.submit(_signed_block, *block))
            if len(waiting) > _BLOCKS_AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _signed_block(words: int, permit: str, first: int, end: int) -> list[Row]:
    maker = Maker(words=words)
    return [maker.row(number, permit=permit) for number in range(first, end)]


if __name__ == "__main__":
    main()
