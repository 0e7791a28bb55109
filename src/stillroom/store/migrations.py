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
    # 2: made for millions. A key is the 32 bytes of its digest. Attempts are in the order in which they were sent, so
    # that writing one touches the last page and not a random one: the index of the replies is the only one that grows
    # everywhere. A body that holds several samples lies once: `body` is the seq of the row that has it.
    (
        "alter table replies rename to replies_1",
        "drop index replies_by_key",
        """
        create table replies (
            seq integer primary key,
            key blob not null, question_id text not null, sample integer not null,
            teacher text not null, served_model text, fingerprint text, endpoint text not null,
            asked_at integer not null, latency_us integer not null,
            status text not null, error_kind text, reasoning_form text not null, finish_reason text,
            prompt_tokens integer, cached_tokens integer, completion_tokens integer, reasoning_tokens integer,
            counted_by text, cost_usd text, price_id text, receipt text, max_tokens integer,
            http_status integer, choice integer not null, body integer, raw blob,
            check ((body is null) <> (raw is null))
        )
        """,
        """
        insert into replies select seq, key_bytes(key), question_id, sample, teacher, served_model, fingerprint,
            endpoint, asked_at, latency_us, status, error_kind, reasoning_form, finish_reason, prompt_tokens,
            cached_tokens, completion_tokens, reasoning_tokens, counted_by, cost_usd, price_id, receipt, max_tokens,
            null, 0, null, raw from replies_1
        """,
        "drop table replies_1",
        "create index replies_by_key on replies (key)",
        "alter table attempts rename to attempts_1",
        "drop index open_attempts",
        """
        create table attempts (
            number integer primary key,
            key blob not null, sent_at integer not null, status text not null, error_kind text,
            cost_usd text, tokens integer, reserved_usd text, reserved_tokens integer
        )
        """,
        """
        insert into attempts select null, key_bytes(key), sent_at, status, error_kind, cost_usd, null, null, null
            from attempts_1 order by sent_at
        """,
        "drop table attempts_1",
        "create index open_attempts on attempts (status) where status = 'open'",
        "create table facts (name text primary key, value text not null) without rowid",
        "insert into facts values ('id', lower(hex(randomblob(6))))",
    ),
)


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Bring the schema up to date, each step whole or not at all. `name` is the file, for the error.

    Raises StoreError for a journal that a newer version wrote.
    """
    (version,) = connection.execute("pragma user_version").fetchone()
    if not 0 <= version <= len(MIGRATIONS):
        raise StoreError(
            f"{name} has schema version {version}; this stillroom reads up to {len(MIGRATIONS)}.",
            "Install the stillroom that wrote it.",
        )
    connection.create_function("key_bytes", 1, lambda key: bytes.fromhex(key.removeprefix("sha256:")))
    for number in range(version, len(MIGRATIONS)):
        connection.execute("begin immediate")
        for statement in MIGRATIONS[number]:
            connection.execute(statement)
        connection.execute(f"pragma user_version = {number + 1}")
        connection.execute("commit")
