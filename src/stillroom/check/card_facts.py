"""What a data set's card says, counted from the tables of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stillroom.check.licences import licence_of
from stillroom.check.origin import Origin
from stillroom.check.reasons import REASONS
from stillroom.report.licences import Licence
from stillroom.report.run_files import Asked, Judged, read_stage_file
from stillroom.report.stage_file import StageFile
from stillroom.store.permits import kept_permits
from stillroom.store.tables import query

Row = dict[str, Any]

SPLITS = {"train": "traces.parquet", "held_out": "held_out.parquet"}
"""The tables of a run that the parts of its data set are made of."""


class Compared(StageFile):
    """check.json, `overlap`"""

    questions: int
    kept: int
    left_out: dict[str, int]
    """By reason."""
    hits: dict[str, int]
    """Pairs by rule, those that were kept or overruled included."""


class Checked(StageFile):
    """check.json, as far as the card needs it."""

    judge: Judged | None = None
    overlap: Compared | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Shares lie in 0 to 1; None is unknown."""

    origin: Origin
    rows: Mapping[str, int]
    """By part of the data set: `train` and `held_out` where they have rows, and `rejected`."""
    splits: list[Row]
    """`split, rows, questions, tokens, median, most`: completion tokens together, of the middle row, of the longest."""
    sources: list[Row]
    """`source, licence, kept, rejected`, the largest first."""
    kinds: list[Row]
    """`kind, judged_by, right, wrong, unsure, unverifiable`: verdicts by kind of question and by who came to them."""
    teachers: list[Row]
    """`teacher, terms, rows`, of the kept ones."""
    others: int
    """Of these, teachers that the run has not asked: their rows were read from elsewhere."""
    reasons: list[Row]
    """`reason, rows, why`, the most frequent first."""
    licence: Licence
    permits: list[Row]
    """The claims of each permit that the teacher was asked under."""
    with_receipt: int
    """Kept rows that the teacher's owner signed."""
    asked: Asked | None
    checked: Checked | None
    first_day: str | None
    """When the replies were asked for, in UTC: 2026-11-26."""
    last_day: str | None
    truncated: float | None
    """Share of the replies that were cut by the token limit."""
    unsure: float | None
    """Share of the judged replies of which nobody knows whether they are right."""

    @property
    def kept(self) -> int:
        return self.rows.get("train", 0) + self.rows.get("held_out", 0)


def gather_facts(folder: Path, origin: Origin, rows: Mapping[str, int]) -> Facts:
    """Count the tables of the run in `folder`; `rows` are those of the data set's own parts."""
    tables = {split: folder / table for split, table in SPLITS.items() if split == "train" or split in rows}
    kept = " union all by name ".join(f"select *, '{split}' as split from {split}" for split in tables)
    rejected = folder / "rejected.parquet"
    sources = _rows(_SOURCES.format(kept=kept), rejected=rejected, **tables)
    kinds = _rows(_KINDS.format(kept=kept), rejected=rejected, **tables)
    judged = sum(row[verdict] for row in kinds for verdict in ("right", "wrong", "unsure"))
    teachers = _rows(_TEACHERS.format(kept=kept), **tables)
    asked = read_stage_file(folder / "ask.json", Asked)
    others = {row["teacher"] for row in teachers} - {asked.teacher if asked else origin.model}
    replies = _rows(_REPLIES, replies=folder / "replies.parquet")[0]
    return Facts(
        origin=origin,
        rows=rows,
        splits=_rows(_SPLITS.format(kept=kept), **tables),
        sources=sources,
        kinds=kinds,
        teachers=teachers,
        others=len(others),
        reasons=[row | {"why": REASONS.get(row["reason"], "")} for row in _rows(_REASONS, rejected=rejected)],
        licence=licence_of({row["licence"] for row in sources}, _terms(origin), has_others=bool(others)),
        permits=[_permit(each["claims"]) for each in kept_permits(folder)],
        with_receipt=_rows(_RECEIPTS.format(kept=kept), **tables)[0]["rows"],
        asked=asked,
        checked=read_stage_file(folder / "check.json", Checked),
        first_day=_day(replies["first"]),
        last_day=_day(replies["last"]),
        truncated=replies["truncated"] / replies["rows"] if replies["rows"] else None,
        unsure=sum(row["unsure"] for row in kinds) / judged if judged else None,
    )


def _terms(origin: Origin) -> str | None:
    return origin.grant.terms_id if origin.grant else origin.terms


_SPLITS = """
select split, count(*) as rows, count(distinct question_id) as questions, sum(tokens)::bigint as tokens,
       median(tokens)::bigint as median, max(tokens) as most
from ({kept}) group by split order by split = 'held_out'
"""
_SOURCES = """
select source, licence, count(*) filter (kept) as kept, count(*) filter (not kept) as rejected
from (
    select source, licence, true as kept from ({kept}) union all select source, licence, false as kept from rejected
)
group by source, licence order by count(*) desc, source, licence
"""
_KINDS = """
select kind, judged_by,
       count(*) filter (verdict = 'right') as right, count(*) filter (verdict = 'wrong') as wrong,
       count(*) filter (verdict = 'unsure') as unsure, count(*) filter (verdict = 'unverifiable') as unverifiable
from (
    select kind, judged_by, verdict from ({kept}) union all select kind, judged_by, verdict from rejected
)
where verdict is not null
group by kind, judged_by order by count(*) desc, kind, judged_by
"""
_RECEIPTS = "select count(receipt) as rows from ({kept})"
_TEACHERS = """
select teacher, terms_id as terms, count(*) as rows from ({kept}) group by all order by rows desc, teacher, terms
"""
_REASONS = "select reason, count(*) as rows from rejected group by reason order by rows desc, reason"
_REPLIES = """
select count(*) as rows, count(*) filter (status = 'truncated') as truncated,
       min(asked_at) as first, max(asked_at) as last
from replies
"""


def _rows(sql: str, **paths: Path) -> list[Row]:
    rows: list[Row] = query(sql, **paths).to_pylist()
    return rows


def _permit(claims: Row) -> Row:
    days = {name: _day(claims[name] * 1_000_000) for name in ("nbf", "exp")}
    return claims | days


def _day(microseconds: int | None) -> str | None:
    return None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC).date().isoformat()
