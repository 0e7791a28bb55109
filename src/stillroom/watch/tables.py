"""The tables that `watch` keeps of calls: additive counts by account and day, small however many calls there were.

    WATCH/state/TABLE/PART.parquet

Rows of two parts with the same key (marked *) are added up when they are read, so that an hour of new calls is one new
part. Calls that carry a permit are counted in `activity.permitted_calls` and are in nothing else. A `day` counts from
1970-01-01 in UTC. What a source of calls does not say is null and is named by `capabilities`.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

from stillroom.store.schemas import schema_of

StateTable = Literal["activity", "templates", "prompts", "keys", "models", "bank_hits", "events", "aliases"]
KeyKind = Literal["ip", "billing", "tls", "agent", "client", "system", "user", "permit"]
"""`client`: TLS print and agent together; `user`: the label that a client sends."""

_text, _integer, _number = pa.string(), pa.int64(), pa.float64()
HOURS = tuple(f"hour_{hour:02}" for hour in range(24))
SAMPLED_PREFIX = "0"
"""Prompts whose print begins so, one in sixteen, are counted one by one: enough to see how often any is repeated."""
LONG_REPLY, LONG_REPLY_RATIO = 200, 4
"""A long reply to a short question: this many completion tokens, and this many for each token of the prompt."""


ACTIVITY = schema_of(
    account=_text,  # *
    day=_integer,  # *
    organisation=_text,
    calls=_integer,
    permitted_calls=_integer,
    failed=_integer,
    first_at=_integer,
    last_at=_integer,
    turns_known=_integer,
    single_turn=_integer,
    lengths_known=_integer,
    prompt_tokens=_integer,
    completion_tokens=_integer,
    long_replies=_integer,
    asks_known=_integer,
    asks_reasoning=_integer,
    asks_logprobs=_integer,
    asks_grading=_integer,
    n_known=_integer,
    many_samples=_integer,
    gaps=_integer,  # between two calls of the account that are at most ten minutes apart
    gaps_s=_number,
    gaps_square_s=_number,
    **dict.fromkeys(HOURS, _integer),  # calls in each hour of the day, UTC
)
TEMPLATES = schema_of(
    account=_text,  # *
    skeleton_print=_text,  # *
    day=_integer,  # *
    calls=_integer,
    prompts=_integer,  # different ones on that day
    rows=_integer,  # that were added up to this one: what is different in each may be the same in two
)
PROMPTS = schema_of(account=_text, prompt_print=_text, day=_integer, calls=_integer, single_turn=_integer)
KEYS = schema_of(account=_text, kind=_text, value=_text, day=_integer, calls=_integer)
MODELS = schema_of(account=_text, model=_text, day=_integer, calls=_integer)
BANK_HITS = schema_of(
    account=_text,  # *
    bank=_text,  # *
    question=_integer,  # * its place in the bank, from 0
    day=_integer,  # *
    calls=_integer,
    exact_calls=_integer,  # the others are alike only
    first_at=_integer,
)
EVENTS = schema_of(account=_text, organisation=_text, at=_integer, event=_text, prints=_text)  # prints: JSON
ALIASES = schema_of(kind=_text, earlier=_text, later=_text)  # the same thing's prints in two epochs of the keys
SCHEMAS: dict[StateTable, pa.Schema] = {
    "activity": ACTIVITY,
    "templates": TEMPLATES,
    "prompts": PROMPTS,
    "keys": KEYS,
    "models": MODELS,
    "bank_hits": BANK_HITS,
    "events": EVENTS,
    "aliases": ALIASES,
}
