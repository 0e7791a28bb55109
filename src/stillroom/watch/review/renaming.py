"""Other names for accounts and organisations in findings: what was found and decided stays, and not of whom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.canonical import canonical_bytes
from stillroom.report.words import short
from stillroom.watch.review.charts import LABEL
from stillroom.watch.review.database import ReviewDatabase


def accounts_in_findings(watch: Path) -> set[tuple[str, str]]:
    """Each account of any version of a finding with its organisation, or itself for that. Raises StoreError."""
    with ReviewDatabase(watch).reading() as connection:
        members = [one for (text,) in connection.execute("select members from findings") for one in orjson.loads(text)]
        versions = [orjson.loads(text) for (text,) in connection.execute("select written from versions")]
    known = {one["account"]: one["organisation"] for one in members}
    return {(name, known.get(name, name)) for name in (*known, *(each for one in versions for each in one["accounts"]))}


def rename(watch: Path, names: Mapping[str, str]) -> int:
    """Give those that `names` has their new names, in every version of every finding. Returns of how many findings.

    Steps and drills are never changed: what people wrote in them stays. Raises StoreError.
    """
    with ReviewDatabase(watch).changing() as connection:
        changed = set()
        for finding, version, text in connection.execute("select finding, version, written from versions").fetchall():
            written = orjson.loads(text)
            if _rename_lists(written, names):
                row = (canonical_bytes(written).decode(), finding, version)
                connection.execute("update versions set written = ? where finding = ? and version = ?", row)
                changed.add(finding)
        for finding, members, charts in connection.execute("select id, members, charts from findings").fetchall():
            people, drawn = orjson.loads(members), orjson.loads(charts)
            is_renamed = [_rename_fields(person, names) for person in people]
            # Each of them: a chart and the list of members need not show the same accounts.
            if any([*is_renamed, *(_rename_rows(chart, names) for chart in drawn)]):
                row = (orjson.dumps(people).decode(), orjson.dumps(drawn).decode(), finding)
                connection.execute("update findings set members = ?, charts = ? where id = ?", row)
                changed.add(finding)
        return len(changed)


def _rename_lists(written: dict[str, Any], names: Mapping[str, str]) -> bool:
    before = written["accounts"], written["organisations"]
    for field in ("accounts", "organisations"):
        written[field] = [names.get(name, name) for name in written[field]]
    return (written["accounts"], written["organisations"]) != before


def _rename_fields(person: dict[str, Any], names: Mapping[str, str]) -> bool:
    before = person["account"], person["organisation"]
    for field in ("account", "organisation"):
        person[field] = names.get(person[field], person[field])
    return (person["account"], person["organisation"]) != before


def _rename_rows(chart: dict[str, Any], names: Mapping[str, str]) -> bool:
    """Of charts with a row for each account: labels, and what stands in the rows."""
    labels = {**{short(name, LABEL): new for name, new in names.items()}, **names}
    rows = chart.get("encoding", {}).get("y") or {}
    domain = rows.get("scale", {}).get("domain")
    if rows.get("field") != "row" or not isinstance(domain, list) or not any(label in labels for label in domain):
        return False
    rows["scale"]["domain"] = [labels.get(label, label) for label in domain]
    for cell in chart["data"]["values"]:
        cell["row"] = labels.get(cell["row"], cell["row"])
    return True
