"""likelihoods.parquet, and what asked.json says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stillroom.base.clock import SystemClock
from stillroom.client.settings import Sampling
from stillroom.probe.asked import Asked, write_asked
from stillroom.store.siblings import Likelihood, write_rows

LIKELIHOODS = "likelihoods.parquet"


def asked_for_likelihoods(
    model: str, address: str | None, sampling: Sampling, questions: int, *, plan: str | None, by: str | None
) -> Asked:
    """What asked.json says where no answers were asked for."""
    now = SystemClock().now_us()
    return Asked(
        plan=plan,
        by=by,
        model=model,
        address=address,
        samples=0,
        sampling=sampling,
        questions=questions,
        first_at=now,
        last_at=now,
        is_whole=True,
    )


def write_likelihoods(folder: Path, rows: Sequence[Likelihood], models: Mapping[str, str], asked: Asked) -> None:
    """Both files. `models`: names of `suspect` and, where it was asked, `base`; `asked`: what is said already.

    Raises StoreError where they cannot be written.
    """
    write_rows(folder / LIKELIHOODS, Likelihood, rows)
    times = [row.asked_at for row in rows if row.asked_at is not None]
    update = {
        "likelihoods": dict(models),
        "first_at": min([asked.first_at, *times]),
        "last_at": max([asked.last_at, *times]),
    }
    write_asked(folder, asked.model_copy(update=update))
