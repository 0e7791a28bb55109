"""Calls made up for tests of the intake, and what a plain loop over them counts."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.store.calls import CALLS, EARLIER_PRINTS, SCHEMAS, SKETCHES
from stillroom.watch.window import Window

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
FIRST_DAY = 20_700
Row = dict[str, Any]


def made_calls(count: int, seed: int = 0, *, accounts: int = 12, days: int = 9) -> list[Row]:
    """Calls with everything that counts differently: nulls, permits, repeats, shared templates, bursts."""
    chance = random.Random(seed)
    rows = []
    at = {account: FIRST_DAY * DAY_US + chance.randrange(days * DAY_US) for account in range(accounts)}
    for number in range(count):
        account = chance.randrange(accounts)
        at[account] += chance.choice((1_000_000, 599_999_999, 600_000_000, 600_000_001, 5 * HOUR_US))
        at[account] = FIRST_DAY * DAY_US + (at[account] - FIRST_DAY * DAY_US) % (days * DAY_US)
        rows.append(_call(chance, f"{seed:04x}{number:028x}", account, at[account]))
    return rows


def _call(chance: random.Random, call_id: str, account: int, at: int) -> Row:
    question = chance.randrange(40)

    def perhaps(value: Any) -> Any:
        return value if chance.random() < 0.8 else None

    prompt = perhaps(f"{question % 16:x}{question:031x}")
    return dict.fromkeys(CALLS.names) | {
        "call_id": call_id,
        "at": at,
        "account": f"acct_{account}",
        "organisation": perhaps(f"org_{account // 2}") if account % 5 else None,
        "model": chance.choice(("large", "small")),
        "turns": perhaps(chance.choice((1, 1, 4))),
        "n": perhaps(chance.choice((1, 8))),
        "asks_reasoning": perhaps(chance.random() < 0.3),
        "asks_logprobs": perhaps(chance.random() < 0.1),
        "asks_grading": perhaps(chance.random() < 0.1),
        "ip_print": perhaps(f"ip{account // 3}"),
        "tls_print": perhaps(f"tls{account % 2}"),
        "agent": perhaps(f"agent/{account % 3}"),
        "billing_print": perhaps(f"card{account}"),
        "user_print": perhaps(f"user{chance.randrange(5)}"),
        "prompt_print": prompt,
        "system_print": perhaps("system"),
        "skeleton_print": None if prompt is None else f"{question // 4 if account < 8 else 100 + account:032x}",
        "print_key_id": "2026q4-00000000",
        "permit_id": "permit" if chance.random() < 0.1 else None,
        "prompt_tokens": perhaps(chance.randrange(1, 200)),
        "completion_tokens": perhaps(chance.choice((10, 199, 200, 800))),
        "status": chance.choice(("ok", "ok", "failed", "refused", "hung_up", "unknown")),
    }


def calls_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], CALLS)


def seal(
    calls: Path,
    rows: Sequence[Row],
    number: int,
    *,
    worker: str = "w0",
    sketches: Sequence[Row] = (),
    earlier: Sequence[Row] = (),
    is_signed: bool = False,
) -> Path:
    """A segment in the layout of the gateway; a signed one has commitments and a record in the chain."""
    folder = calls / worker / f"{number:08}"
    folder.mkdir(parents=True)
    pq.write_table(calls_table(rows), folder / "calls.parquet")
    pq.write_table(pa.Table.from_pylist(list(sketches), SKETCHES), folder / "sketches.parquet")
    pq.write_table(pa.Table.from_pylist(list(earlier), EARLIER_PRINTS), folder / "earlier_prints.parquet")
    if is_signed:
        commitments = [{"commitment": f"{worker} {number} {place}".encode().ljust(32)} for place in range(len(rows))]
        pq.write_table(pa.Table.from_pylist(commitments, SCHEMAS["commitments"]), folder / "commitments.parquet")
        record = {"v": 1, "kind": "segment", "worker": worker, "segment": number, "rows": len(rows)}
        with (calls / worker / "chain.jsonl").open("ab") as chain:
            chain.write(orjson.dumps({"record": record, "jws": "signature"}) + b"\n")
    return folder


def earlier(row: Row) -> Row:
    """The same call's prints by the keys of the epoch before."""
    names = ("ip_print", "tls_print", "user_print", "prompt_print", "system_print", "skeleton_print")
    prints = {name: None if row[name] is None else f"{row[name]}'" for name in names}
    return {"call_id": row["call_id"], "print_key_id": "2026q3-00000000", "minhash": None} | prints


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """In an order of their own, with numbers that are sums of fractions rounded."""
    columns = [[_rounded(value) for value in column.to_pylist()] for column in table.columns]
    return sorted(zip(*columns, strict=True), key=repr)


def _rounded(value: Any) -> Any:
    return float(f"{value:.10g}") if isinstance(value, float) else value


TABLES = ("activity", "templates", "keys", "users", "models", "bank_hits", "repeats")


def window_rows(window: Window) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows_of(getattr(window, name)) for name in TABLES}


def counted_by_hand(rows: Sequence[Row], since: int, until: int) -> dict[str, list[tuple[Any, ...]]]:
    """What a window holds of these calls, by loops that share nothing with the code."""
    inside = [row for row in rows if since <= row["at"] // DAY_US < until]
    free = [row for row in inside if row["permit_id"] is None]
    found = {
        "activity": _activity(inside, rows),
        "templates": _templates(free),
        "keys": [*_keys(free), *_permits(inside)],
        "users": _users(free),
        "models": _models(free),
        "bank_hits": [],
        "repeats": _repeats(free),
    }
    return {name: sorted(map(_tuple, each), key=repr) for name, each in found.items()}


def _tuple(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_rounded(value) for value in row)


def _activity(inside: Sequence[Row], every: Sequence[Row]) -> list[list[Any]]:
    days: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in inside:
        days[row["account"], row["at"] // DAY_US].append(row)
    gaps = _gaps(every)
    return [_day(account, day, calls, gaps[account, day]) for (account, day), calls in days.items()]


def _gaps(rows: Sequence[Row]) -> dict[tuple[str, int], list[float]]:
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    times: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row["permit_id"] is None:
            times[row["account"]].append(row["at"])
    for account, at in times.items():
        at.sort()
        for before, after in pairwise(at):
            if after - before <= 600_000_000:
                found[account, after // DAY_US].append((after - before) / 1e6)
    return found


def _day(account: str, day: int, calls: Sequence[Row], gaps: Sequence[float]) -> list[Any]:
    free = [row for row in calls if row["permit_id"] is None]
    lengths = [row for row in free if row["prompt_tokens"] is not None and row["completion_tokens"] is not None]
    asks = ("asks_reasoning", "asks_logprobs", "asks_grading")
    hours = Counter(row["at"] % DAY_US // HOUR_US for row in free)
    return [
        account,
        day,
        min((row["organisation"] or account) for row in calls),
        len(free),
        len(calls) - len(free),
        sum(row["status"] in ("failed", "refused") for row in free),
        min((row["at"] for row in free), default=None),
        max((row["at"] for row in free), default=None),
        sum(row["turns"] is not None for row in free),
        sum(row["turns"] == 1 for row in free),
        len(lengths),
        sum(row["prompt_tokens"] for row in lengths),
        sum(row["completion_tokens"] for row in lengths),
        sum(row["completion_tokens"] >= max(200, 4 * row["prompt_tokens"]) for row in lengths),
        sum(any(row[each] is not None for each in asks) for row in free),
        *(sum(bool(row[each]) for row in free) for each in asks),
        sum(row["n"] is not None for row in free),
        sum((row["n"] or 1) > 1 for row in free),
        len(gaps),
        sum(gaps, 0.0),
        sum((gap * gap for gap in gaps), 0.0),
        *(hours[hour] for hour in range(24)),
    ]


def _templates(free: Sequence[Row]) -> list[list[Any]]:
    used: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in free:
        if row["skeleton_print"] is not None:
            used[row["account"], row["skeleton_print"]].append(row)
    by_skeleton = Counter(skeleton for _, skeleton in used)
    is_filled = _filled(free)
    found = []
    for (account, skeleton), calls in used.items():
        days = [row["at"] // DAY_US for row in calls]
        prompts = len({(row["prompt_print"], day) for row, day in zip(calls, days, strict=True)})
        if is_filled[skeleton] and (by_skeleton[skeleton] > 1 or prompts >= 20):
            found.append([account, skeleton, len(calls), prompts, min(days), max(days)])
    return found


def _filled(free: Sequence[Row]) -> dict[str, bool]:
    """Whether two calls of one account and day mostly differ, for each template."""
    days: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for row in free:
        if row["skeleton_print"] is not None:
            days[row["skeleton_print"], row["account"], row["at"] // DAY_US].append(row["prompt_print"])
    more, different = Counter[str](), Counter[str]()
    for (skeleton, _, _), prompts in days.items():
        more[skeleton] += len(prompts) - 1
        different[skeleton] += len(set(prompts)) - 1
    return {skeleton: different[skeleton] > max(0, 0.05 * more[skeleton] - 1e-9) for skeleton, _, _ in days}


def _keys(free: Sequence[Row]) -> list[list[Any]]:
    columns = {"ip": "ip_print", "billing": "billing_print", "tls": "tls_print", "agent": "agent"}
    seen: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row in free:
        values = {kind: row[column] for kind, column in columns.items()} | {"system": row["system_print"]}
        if row["tls_print"] and row["agent"]:
            values["client"] = f"{row['tls_print']} {row['agent']}"
        for kind, value in values.items():
            if value is not None:
                seen[row["account"], kind, value].append(row["at"] // DAY_US)
    return [[*key, len(days), min(days), max(days)] for key, days in seen.items()]


def _permits(inside: Sequence[Row]) -> list[list[Any]]:
    """Which permits covered an account's other calls."""
    seen: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row in inside:
        if row["permit_id"] is not None:
            seen[row["account"], "permit", row["permit_id"]].append(row["at"] // DAY_US)
    return [[*key, len(days), min(days), max(days)] for key, days in seen.items()]


def _users(free: Sequence[Row]) -> list[list[Any]]:
    labels: dict[str, set[str]] = defaultdict(set)
    for row in free:
        if row["user_print"] is not None:
            labels[row["account"]].add(row["user_print"])
    return [[account, len(each)] for account, each in labels.items()]


def _models(free: Sequence[Row]) -> list[list[Any]]:
    days: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in free:
        days[row["account"], row["model"]].append(row["at"] // DAY_US)
    return [[*key, len(each), min(each)] for key, each in days.items()]


def _repeats(free: Sequence[Row]) -> list[list[Any]]:
    prompts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in free:
        if row["prompt_print"] is not None and row["prompt_print"].startswith("0"):
            prompts[row["account"]][row["prompt_print"]] += 1
    return [[a, sum(c.values()), len(c), sum(count == 1 for count in c.values())] for a, c in prompts.items()]
