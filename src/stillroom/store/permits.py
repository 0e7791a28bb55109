"""The permits that a run was asked under, in its folder: `permits.json`, whole and as they were signed.

A run may have several, one after the other: the first is spent or expires, and it goes on under the next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stillroom.base.permit import Permit
from stillroom.store.files import read_object, write_json

PERMITS = "permits.json"


def keep_permit(folder: Path, token: str, permit: Permit) -> None:
    """Add a permit to those of the run in `folder`, unless it is among them. `permit` is what the token says."""
    known = kept_permits(folder)
    if all(each["jws"] != token for each in known):
        write_json(folder / PERMITS, {"permits": [*known, {"jws": token, "claims": permit.model_dump(mode="json")}]})


def kept_permits(folder: Path) -> list[dict[str, Any]]:
    """`{"jws", "claims"}` of each, in the order in which they were first presented. Raises StoreError."""
    path = folder / PERMITS
    if not path.exists():
        return []
    permits: list[dict[str, Any]] = read_object(path).get("permits", [])
    return permits
