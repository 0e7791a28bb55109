"""The permit that a recipe names, as it is presented with each call."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from stillroom.base.errors import PermitOver, RecipeError
from stillroom.base.permit import MAX_PERMIT_BYTES, Permit, read_unverified_permit
from stillroom.base.signatures import SignatureRefused

_REMEDY = "Name the file that the model's owner gave you: what stillroom permit issue wrote."


def load_permit(path: Path) -> tuple[str, Permit]:
    """The permit in a file, as it is presented and what it says. Who signed it is for the owner's gateway to see.

    Raises RecipeError for a file that cannot be read or holds no permit.
    """
    try:
        with path.open("rb") as file:
            data = file.read(2 * MAX_PERMIT_BYTES)
    except OSError as error:
        raise RecipeError(f"The permit {path} cannot be read: {error.strerror}.", _REMEDY) from error
    # A wrong byte makes a wrong token, which is refused below.
    token = data.decode("ascii", errors="replace").strip()
    try:
        return token, read_unverified_permit(token)
    except SignatureRefused as error:
        raise RecipeError(f"{path} is not a permit. {error.what}", _REMEDY) from error


def permit_to_present(path: Path, model: str, now: int) -> str:
    """The permit in a file, after a look at whether it can hold for calls to `model`. `now`: seconds since 1970.

    Raises RecipeError as `load_permit` does, and for a permit for other models; PermitOver for one that has expired or
    has not begun.
    """
    token, permit = load_permit(path)
    if model not in permit.models:
        raise RecipeError(
            f"The permit {path} is for {', '.join(permit.models)}, not for {model}.",
            "Name one of these models in teacher.model, or a permit for this one.",
        )
    if now >= permit.exp:
        raise PermitOver(
            f"The permit {path} expired on {_moment(permit.exp)}.",
            "Have the model's owner issue another, name it in teacher.permit, and run the same command again.",
        )
    if now < permit.nbf:
        raise PermitOver(f"The permit {path} begins on {_moment(permit.nbf)}.", "Run the same command again then.")
    return token


def _moment(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return f"second {seconds}"
