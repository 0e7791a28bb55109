"""Arrow schemas of tables: what every file says of itself, and the columns of the tables between stages.

A trace's `messages` are nested (list of struct), so that SQL can look into them; a question's are canonical JSON text,
the very bytes that its id and its request's key are taken over. `meta`, `tools` and `tool_calls`, whose shape is
anybody's, are JSON text.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 2
"""The newest that is read. Version 2: questions hold their messages as canonical JSON; traces and rejected rows say of
their question what a reader without the other tables needs, and who judged the answer."""
TABLE_KEY, VERSION_KEY = b"stillroom.table", b"stillroom.schema_version"
"""Of a schema's metadata."""


def table_schema(table: str, *fields: tuple[str, pa.DataType], version: int = 1) -> pa.Schema:
    """`table`: what a row of it is."""
    metadata: dict[bytes | str, bytes | str] = {TABLE_KEY: table, VERSION_KEY: str(version)}
    return pa.schema([pa.field(name, kind) for name, kind in fields], metadata=metadata)


def schema_of(**columns: pa.DataType) -> pa.Schema:
    """Without metadata: of tables that one program writes for itself."""
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


_text, _integer, _number, _truth = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_messages = pa.list_(
    pa.struct(
        [("role", _text), ("content", _text), ("reasoning", _text), ("tool_calls", _text), ("train", _truth)],
    )
)

QUESTIONS = table_schema(
    "question",
    ("id", _text),
    ("messages", _text),
    ("answer", _text),
    ("kind", _text),
    ("source", _text),
    ("licence", _text),
    ("split", _text),
    ("family", _text),
    ("meta", _text),
    version=2,
)
REPLIES = table_schema(
    "reply",
    ("key", _text),
    ("question_id", _text),
    ("sample", _integer),
    ("teacher", _text),
    ("served_model", _text),
    ("fingerprint", _text),
    ("endpoint", _text),
    ("asked_at", _integer),
    ("latency_us", _integer),
    ("status", _text),
    ("error_kind", _text),
    ("reasoning_form", _text),
    ("finish_reason", _text),
    ("prompt_tokens", _integer),
    ("cached_tokens", _integer),
    ("completion_tokens", _integer),
    ("reasoning_tokens", _integer),
    ("counted_by", _text),
    ("cost_usd", _text),
    ("price_id", _text),
    ("receipt", _text),
    ("max_tokens", _integer),
    ("http_status", _integer),
    ("choice", _integer),
    # Derived from the journal's `raw`, which stays in the journal.
    ("reasoning", _text),
    ("answer", _text),
    ("block", _text),
)
ATTEMPTS = table_schema(
    "attempt",
    ("key", _text),
    ("attempt", _integer),
    ("sent_at", _integer),
    ("status", _text),
    ("error_kind", _text),
    ("cost_usd", _text),
    ("tokens", _integer),
    ("reserved_usd", _text),
    ("reserved_tokens", _integer),
    ("request_id", _text),
)
TRACES = table_schema(
    "trace",
    ("question_id", _text),
    ("messages", _messages),
    ("verdict", _text),
    ("pass_rate", _number),
    ("tokens", _integer),
    ("teacher", _text),
    ("terms_id", _text),
    ("reply_key", _text),
    ("receipt", _text),
    ("source", _text),
    ("licence", _text),
    # Since version 2; null in what is read of version 1.
    ("family", _text),
    ("kind", _text),
    ("expected", _text),
    ("judged_by", _text),
    ("tools", _text),
    version=2,
)
TRACES_OF_VERSION_1 = TRACES.names[:-5]
REJECTED = table_schema(
    "rejected",
    ("question_id", _text),
    ("sample", _integer),
    ("reply_key", _text),
    ("reason", _text),
    ("detail", _text),
    ("verdict", _text),
    ("extracted", _text),
    ("expected", _text),
    ("family", _text),
    ("reasoning", _text),
    ("answer", _text),
    # Since version 2. `messages` are the question's alone: what was replied stands in the two columns above.
    ("messages", _messages),
    ("kind", _text),
    ("source", _text),
    ("licence", _text),
    ("teacher", _text),
    ("tokens", _integer),
    ("receipt", _text),
    ("judged_by", _text),
    version=2,
)
OVERLAP = table_schema(
    "overlap",
    ("question_id", _text),
    ("other_id", _text),
    # The examination's file; null where the other one is a question of the run.
    ("other_source", _text),
    ("rule", _text),
    ("score", _number),
    ("action", _text),
    ("opinion", _text),
    ("question", _text),
    ("other", _text),
)
EXAM_ANSWERS = table_schema(
    "exam_answer",
    ("taker", _text),
    ("set", _text),
    ("question_id", _text),
    ("sample", _integer),
    ("family", _text),
    ("question", _text),
    ("expected", _text),
    ("reasoning", _text),
    ("answer", _text),
    ("verdict", _text),
    ("reason", _text),
    ("extracted", _text),
    ("cut_verdict", _text),
    ("status", _text),
    ("completion_tokens", _integer),
    ("latency_us", _integer),
    ("cost_usd", _text),
    version=2,
)
