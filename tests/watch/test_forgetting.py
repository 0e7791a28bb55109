"""Who is forgotten stands in no file of a watch folder by name, and what was found and decided stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from tests.watch.logs import FIRST_DAY, made_calls, seal
from tests.watch.review.conftest import finding

from stillroom.base.errors import UsageError
from stillroom.watch.alarms import looks, note_alarms
from stillroom.watch.banks.audit import FORGOTTEN, read_audit
from stillroom.watch.engine import Engine
from stillroom.watch.forgetting import forget_account
from stillroom.watch.intake import take_in
from stillroom.watch.review.charts import activity_chart
from stillroom.watch.review.found import Found, Member
from stillroom.watch.review.store import FindingStore
from stillroom.watch.run import calibrate_on, kept_calibration

GONE, LEFT = "acct_1", "acct_2"
WHO = {"by": "Olga", "role": "owner", "reason": "they asked us to"}


@pytest.fixture
def watch(duck: Engine, tmp_path: Path) -> Path:
    """With an account that is the only one of its organisation."""
    calls = [row | {"organisation": f"org of {row['account']}"} for row in made_calls(600)]
    seal(tmp_path / "calls", calls, 1)
    folder = tmp_path / "watch"
    take_in(duck, tmp_path / "calls", folder / "state", [])
    calibrate_on(duck, folder, "first", FIRST_DAY + 9, 1, 1.0, by="Olga", reason="begin")
    names = [f"org of {each}" for each in (GONE, LEFT)]
    note_alarms(folder, "first", FIRST_DAY + 9, frozenset(names), 20)
    made = replace(finding("f_1"), accounts=(GONE, LEFT), organisations=tuple(names))
    people = tuple(
        Member(account, owner, 7, 0, 0, 1, {}, None)
        for account, owner in zip(made.accounts, made.organisations, strict=True)
    )
    one = np.array([0, 1])
    chart = activity_chart(made.accounts, one, one, one, one + 1, (0, 28))
    store = FindingStore(folder)
    store.put_all([Found(made, (chart,), people)])
    store.decide("f_1", "dismiss", by="Rita", reason="innocent")
    return folder


def test_an_account_is_forgotten_by_name_everywhere(duck: Engine, watch: Path) -> None:
    before = kept_calibration(watch, "first")
    done = forget_account(duck, watch, GONE, **WHO)
    assert (done.parts, done.findings, done.organisation) == (1, 1, True)
    for path in watch.rglob("*"):
        if path.suffix in (".json", ".jsonl"):
            assert f'{GONE}"' not in path.read_text(encoding="utf-8")
    store = FindingStore(watch)
    kept, (chart,) = store.get("f_1"), store.charts("f_1")
    account, other = kept.finding.accounts
    assert (account[:10], other) == ("forgotten_", LEFT)
    assert [one.account for one in kept.members] == [account, other]
    assert kept.members[0].organisation == kept.finding.organisations[0] != account
    assert f"org of {GONE}" not in orjson.dumps([chart, kept.finding]).decode()
    assert {cell["row"] for cell in chart["data"]["values"]} == {account, LEFT}
    assert kept.decision is not None
    assert (kept.decision.by, kept.finding.status, kept.since_decision) == ("Rita", "dismissed", ())
    seen = looks(watch, "first")
    assert seen is not None
    assert seen.alarmed == {kept.finding.organisations[0], f"org of {LEFT}"}
    assert kept_calibration(watch, "first").account.score == before.account.score
    act = read_audit(watch)[-1]
    assert (act.act, act.by, act.detail, GONE in str(act)) == (FORGOTTEN, "Olga", {}, False)


def test_another_account_of_the_organisation_keeps_its_name(duck: Engine, watch: Path, tmp_path: Path) -> None:
    (call,) = made_calls(1, seed=8)
    seal(tmp_path / "calls", [call | {"account": "acct_new", "organisation": f"org of {GONE}"}], 2)
    take_in(duck, tmp_path / "calls", watch / "state", [])
    assert not forget_account(duck, watch, GONE, **WHO).organisation
    assert f"org of {GONE}" in FindingStore(watch).get("f_1").finding.organisations


def test_who_is_not_known_or_already_forgotten_is_an_error(duck: Engine, watch: Path) -> None:
    with pytest.raises(UsageError, match="Nothing is known of an account 'nobody'"):
        forget_account(duck, watch, "nobody", **WHO)
    with pytest.raises(UsageError, match="why"):
        forget_account(duck, watch, GONE, by="Olga", role="owner", reason="")
    forget_account(duck, watch, GONE, **WHO)
    with pytest.raises(UsageError, match="Nothing is known"):
        forget_account(duck, watch, GONE, **WHO)
