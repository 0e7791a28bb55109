"""The tables that a gateway would have written of drafted calls, and the truth about each account."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stillroom.store.calls import SALT_BYTES, SCHEMAS
from stillroom.store.schemas import schema_of
from stillroom.testing.traffic.accounts import Accounts
from stillroom.testing.traffic.calls import NOT_SAID, UNKNOWN, Calls, Draft
from stillroom.testing.traffic.keys import Bytes, Keys, fresh, hex_text, mixed, number_of, random_bytes
from stillroom.testing.traffic.sources import TRAFFIC_SECRET
from stillroom.testing.traffic.texts import TextPrints, print_texts
from stillroom.testing.traffic.world import DAY_US, MODELS, ROUTES, STATUSES, World
from stillroom.text.prints import Prints, epoch_at, overlapping_at

_text, _integer = pa.string(), pa.int64()


EVENTS = schema_of(account=_text, organisation=_text, at=_integer, event=_text, prints=_text)
TRUTH = schema_of(account=_text, organisation=_text, role=_text, client_model=_text)
_HTTP_STATUS = pa.array([200, 400, 502, None, None], pa.int64())
_PRICES = np.array([10, 2, 1, 8, 12])
"""Of the models: USD per million tokens of a reply; of a prompt, a quarter."""
_AT_ONCE = 250_000


def account_names(keys: Keys) -> pa.StringArray:
    return hex_text(random_bytes(keys, 8, number_of("account")), prefix="acct_")


def organisation_names(keys: Keys) -> pa.StringArray:
    return hex_text(random_bytes(keys, 8, number_of("organisation name")), prefix="org_")


def truth_table(world: World, accounts: Accounts) -> pa.Table:
    clients = pa.array(world.clients.names)
    columns = [account_names(accounts.key), organisation_names(accounts.organisation)]
    columns += [pa.array(accounts.role.tolist(), pa.string()), clients.take(accounts.client)]
    return pa.table(columns, schema=TRUTH)


def event_table(world: World, generator: np.random.Generator, accounts: Accounts) -> pa.Table:
    """When each account was made, and with what card: those that call from the first day, within the year before."""
    count = len(accounts)
    since = np.where(accounts.first_day > 0, accounts.first_day, -generator.exponential(90, count).clip(0.1, 365))
    # The prints are those of the first epoch, also of what happened before: what else could be compared with them?
    cards = _print_text("billing", accounts.billing, epoch_at(world.start_at))
    return pa.table(
        [
            account_names(accounts.key),
            organisation_names(accounts.organisation),
            pa.array(world.start_at + (since * DAY_US).astype(np.int64)),
            pa.array(["created"] * count, pa.string()),
            pa.array([json.dumps({"billing": card}) for card in cards.to_pylist()], pa.string()),
        ],
        schema=EVENTS,
    )


def call_tables(world: World, generator: np.random.Generator, draft: Draft) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Calls, sketches and earlier prints, by the time of the call."""
    order = np.argsort(draft.calls.at, kind="stable")
    key = fresh(generator, len(order))
    parts: list[tuple[pa.Table, pa.Table, pa.Table]] = []
    for rows in _runs_of_an_epoch(draft.calls.at[order]):
        of = order[rows[0] : rows[1]]
        parts.append(_tables(world, draft, of, key[rows[0] : rows[1]]))
    if not parts:
        return tuple(SCHEMAS[name].empty_table() for name in ("calls", "sketches", "earlier_prints"))  # type: ignore[return-value]
    calls, sketches, earlier = zip(*parts, strict=True)
    return pa.concat_tables(calls), pa.concat_tables(sketches), pa.concat_tables(earlier)


def _runs_of_an_epoch(at: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of rows, not too long, that have the same keys: the epoch may turn inside, and its overlap end."""
    bounds = {0, len(at), *range(0, len(at), _AT_ONCE)}
    if len(at):
        first, last = int(at[0]) // DAY_US, int(at[-1]) // DAY_US
        turns = [
            day * DAY_US for day in range(first + 1, last + 1) if _keys_at(day * DAY_US) != _keys_at((day - 1) * DAY_US)
        ]
        bounds |= {int(place) for place in np.searchsorted(at, turns)}
    edges = sorted(bounds)
    return [(start, end) for start, end in pairwise(edges) if start < end]


def _keys_at(at: int) -> tuple[str, str | None]:
    return epoch_at(at), overlapping_at(at)


def _tables(world: World, draft: Draft, rows: npt.NDArray[np.int64], key: Keys) -> tuple[pa.Table, pa.Table, pa.Table]:
    calls, accounts = draft.calls, draft.accounts
    at = calls.at[rows]
    epoch, before = _keys_at(int(at[0]))
    texts = calls.texts.at(rows)
    printed = print_texts(world, texts, epoch)
    is_known = calls.status[rows] != UNKNOWN
    call_id = _call_ids(at, key)
    caller = calls.caller[rows]
    plain = _plain_columns(world, calls, rows, is_known)
    prints = _prints(calls, rows, printed, epoch, is_known)
    columns: dict[str, pa.Array[Any]] = {
        "call_id": call_id,
        "at": pa.array(at),
        "account": account_names(accounts.key).take(caller),
        "organisation": organisation_names(accounts.organisation).take(caller),
        "key_id": hex_text(random_bytes(accounts.key, 8, number_of("key")), prefix="key_").take(caller),
        "billing_print": _print_text("billing", calls.billing[rows], epoch),
        "print_key_id": pa.array([_key_id(epoch)]).take(np.zeros(len(rows), np.int64)),
        "salt": _binary(random_bytes(key, SALT_BYTES, number_of("salt"))),
        **plain,
        **prints,
    }
    schema = SCHEMAS["calls"]
    table = pa.table([_filled(columns.get(field.name), field, len(rows)) for field in schema], schema=schema)
    has_sketch = pa.array(is_known)
    sketches = pa.table([call_id.filter(has_sketch), _binary(printed.sketches[is_known])], schema=SCHEMAS["sketches"])
    return table, sketches, _earlier(world, draft, rows, call_id, is_known, before)


def _earlier(
    world: World,
    draft: Draft,
    rows: npt.NDArray[np.int64],
    call_id: pa.StringArray,
    is_known: npt.NDArray[np.bool_],
    epoch: str | None,
) -> pa.Table:
    schema = SCHEMAS["earlier_prints"]
    if epoch is None:
        return schema.empty_table()
    rows = rows[is_known]
    printed = print_texts(world, draft.calls.texts.at(rows), epoch)
    columns = _prints(draft.calls, rows, printed, epoch, np.ones(len(rows), np.bool_))
    columns["call_id"] = call_id.filter(pa.array(is_known))
    columns["print_key_id"] = pa.array([_key_id(epoch)] * len(rows), pa.string())
    columns["minhash"] = _binary(printed.sketches)
    return pa.table([columns[field.name] for field in schema], schema=schema)


def _plain_columns(
    world: World, calls: Calls, rows: npt.NDArray[np.int64], is_known: npt.NDArray[np.bool_]
) -> dict[str, pa.Array[Any]]:
    status = calls.status[rows]
    model = calls.model[rows]
    has_reply = np.isin(status, [STATUSES.index("ok"), STATUSES.index("hung_up")])
    columns: dict[str, pa.Array[Any]] = {
        "model": pa.array(MODELS).take(model),
        "route": pa.array(ROUTES).take(calls.route[rows]),
        "stream": pa.array(calls.stream[rows]),
        "temperature": pa.array(calls.temperature[rows], mask=np.isnan(calls.temperature[rows])),
        "asks_reasoning": pa.array(calls.asks_reasoning[rows]),
        "asks_logprobs": pa.array(calls.asks_logprobs[rows]),
        "asks_grading": pa.array(calls.asks_grading[rows]),
        "agent": pa.array(world.agents).take(calls.agent[rows]),
        "permit_id": _permits(calls.permit[rows]),
        "counted_by": pa.array(["provider", "estimate"]).take(
            pa.array((status != 0).astype(np.int64), mask=~has_reply)
        ),
        "cost_usd": _cost(model, calls.prompt_tokens[rows], calls.completion_tokens[rows], has_reply),
        "latency_us": pa.array(calls.latency_us[rows], mask=~is_known),
        "status": pa.array(STATUSES).take(status),
        "http_status": _HTTP_STATUS.take(status),
    }
    for name in ("turns", "max_tokens", "n"):
        values = getattr(calls, name)[rows]
        columns[name] = pa.array(values, mask=values == NOT_SAID)
    for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"):
        values = getattr(calls, name)[rows]
        columns[name] = pa.array(values, mask=~has_reply | (values == NOT_SAID))
    return columns


def _prints(
    calls: Calls, rows: npt.NDArray[np.int64], printed: TextPrints, epoch: str, is_known: npt.NDArray[np.bool_]
) -> dict[str, pa.Array[Any]]:
    return {
        "ip_print": _print_text("ip", np.where(is_known, calls.network[rows], 0), epoch),
        "tls_print": _print_text("tls", np.where(is_known, calls.tls[rows], 0), epoch),
        "user_print": _print_text("user", np.where(is_known, calls.user[rows], 0), epoch),
        "system_print": _print_text("system", np.where(is_known, calls.system[rows], 0), epoch),
        "prompt_print": hex_text(printed.prompts, is_known),
        "skeleton_print": hex_text(printed.skeletons, is_known & printed.has_skeleton),
    }


def _print_text(purpose: str, keys: npt.NDArray[Any], epoch: str) -> pa.StringArray:
    return hex_text(random_bytes(keys.astype(np.uint64), 16, number_of(f"{purpose} {epoch}")), keys != 0)


def _key_id(epoch: str) -> str:
    return Prints(TRAFFIC_SECRET, epoch).print_key_id


def _permits(permit: npt.NDArray[np.int64]) -> pa.StringArray:
    return hex_text(random_bytes(mixed(permit, number_of("permit")), 16, 0), permit != 0)


def _call_ids(at: npt.NDArray[np.int64], key: Keys) -> pa.StringArray:
    """12 hex digits of the time in milliseconds, then 80 random bits."""
    identity = np.empty((len(at), 16), np.uint8)
    identity[:, :6] = (at // 1000).astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    identity[:, 6:] = random_bytes(key, 16, number_of("call"))[:, :10]
    return hex_text(identity)


def _cost(
    model: npt.NDArray[np.int64],
    prompt: npt.NDArray[np.int64],
    completion: npt.NDArray[np.int64],
    has_reply: npt.NDArray[np.bool_],
) -> pa.StringArray:
    """In decimal, to the millionth of a dollar."""
    millionths = _PRICES[model] * (prompt // 4 + completion)
    whole = pa.array(millionths // 1_000_000, mask=~has_reply).cast(pa.string())
    rest = pc.utf8_lpad(pa.array(millionths % 1_000_000, mask=~has_reply).cast(pa.string()), 6, "0")
    join: Any = pc.binary_join_element_wise  # its stubs know no separator that is one string
    return cast(pa.StringArray, join(whole, rest, "."))


def _binary(values: Bytes) -> pa.Array[Any]:
    buffer = pa.py_buffer(np.ascontiguousarray(values).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.shape[1]), len(values), [None, buffer])


def _filled(column: pa.Array[Any] | None, field: pa.Field[Any], count: int) -> pa.Array[Any]:
    return pa.nulls(count, field.type) if column is None else column
