"""All signals of all organisations of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stillroom.watch.signals.activity import measure_activity
from stillroom.watch.signals.bank_coverage import measure_banks
from stillroom.watch.signals.content import measure_content
from stillroom.watch.signals.definitions import BY_NAME
from stillroom.watch.signals.organisations import Column, Organisations, codes, numbers
from stillroom.watch.signals.sentences import Seen
from stillroom.watch.window import Window


@dataclass(frozen=True, slots=True)
class Signals:
    """Columns over organisations; nan where a signal is absent: a column is missing, or the calls are too few."""

    days: int
    organisations: Organisations
    values: Mapping[str, Column]
    """By the names of `definitions.SIGNALS`."""
    facts: Mapping[str, Column]
    """What sentences and explanations name beside them."""
    labels: Mapping[str, list[str | None]]

    def seen(self, organisation: int) -> Seen:
        """`organisation`: its place among the names."""
        columns = {**self.facts, **self.values}
        return Seen(
            {name: float(column[organisation]) for name, column in columns.items()},
            {name: labels[organisation] for name, labels in self.labels.items()},
            self.days,
        )

    def sentence(self, signal: str, organisation: int) -> str:
        return BY_NAME[signal].sentence(self.seen(organisation))


def signals_of(window: Window) -> Signals:
    """Calls that carry a permit are in no signal; a signal whose columns are missing is nan throughout."""
    organisations = Organisations.of(window.activity)
    activity = measure_activity(window, organisations)
    calls = activity.facts["calls"]
    content = measure_content(window, organisations, calls)
    banks = measure_banks(window, organisations, calls)
    found = activity.values | content.values | banks.values
    beside = {name: column for name, column in found.items() if name not in BY_NAME}
    return Signals(
        days=window.until_day - window.since_day,
        organisations=organisations,
        values={name: found[name] for name in BY_NAME},
        facts=activity.facts | content.facts | banks.facts | beside | _clients(window, organisations),
        labels=activity.labels | content.labels | banks.labels,
    )


def _clients(window: Window, organisations: Organisations) -> dict[str, Column]:
    """How many labels of users the organisation's accounts send, and how many models it called."""
    users, user_table = organisations.rows(window.users)
    callers, model_table = organisations.rows(window.models)
    model, names = codes(model_table["model"])
    each_once = np.unique(callers * max(len(names), 1) + model)  # several accounts may call one model
    return {
        "users": organisations.total(users, numbers(user_table, "users")),
        "models": organisations.total(each_once // max(len(names), 1)),
    }
