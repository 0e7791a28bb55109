"""The journal's schema, as numbered steps. A step that has been released is never edited; a change is a new step."""

from __future__ import annotations

import sqlite3

from stillroom.base.errors import StoreError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    # 1: replies are only ever added; of several with one key the latest counts. An attempt is written as `open` before
    # its call is sent, so that a kill cannot lose sight of a call.
    (
        """
        create table replies (
            seq integer primary key,
            key text not null, question_id text not null, sample integer not null,
            teacher text not null, served_model text, fingerprint text, endpoint text not null,
            asked_at integer not null, latency_us integer not null,
            status text not null, error_kind text, reasoning_form text not null, finish_reason text,
            prompt_tokens integer, cached_tokens integer, completion_tokens integer, reasoning_tokens integer,
            counted_by text, cost_usd text, price_id text, receipt text, max_tokens integer,
            raw blob not null
        )
        """,
        "create index replies_by_key on replies (key, seq)",
        """
        create table attempts (
            key text not null, attempt integer not null, sent_at integer not null,
            status text not null, error_kind text, cost_usd text,
            primary key (key, attempt)
        ) without rowid
        """,
        "create index open_attempts on attempts (status) where status = 'open'",
    ),
)


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the schema up to date, each step whole or not at all. `name` is the file, for the error.

    Raises StoreError for a journal that a newer version wrote.
    """
    (version,) = connection.execute("pragma user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{name} has schema version {version}; this stillroom reads up to {len(MIGRATIONS)}.",
            "Install the stillroom that wrote it.",
        )
    for number in range(version, len(MIGRATIONS)):
        connection.execute("begin immediate")
        for statement in MIGRATIONS[number]:
            connection.execute(statement)
        connection.execute(f"pragma user_version = {number + 1}")
        connection.execute("commit")
