"""Arguments that `stillroom probe` has in several commands, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.errors import UsageError

if TYPE_CHECKING:
    from stillroom.probe.signer import Signer

Probe = Annotated[Path, typer.Argument(metavar="PROBE", help="The folder that stillroom probe pairs or import made.")]
Name = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's name.")]
To = Annotated[str, typer.Option("--to", metavar="WHOM", help="Who gets it, for the log.")]
Given = Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder that is not there yet.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The gateway's YAML file: its key signs, from the first plan on. Without it, a key made for the folder.",
    ),
]
Tsa = Annotated[
    str | None,
    typer.Option("--tsa", metavar="URL", help="Have a time stamping authority (RFC 3161) sign that it is in the log."),
]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who does it, for the log; the system's name for you.")
]


def check_gathered(probe: Path) -> None:
    """Raises UsageError where no pairs were gathered there."""
    from stillroom.probe.pairs import COUNTS_FILE

    if not (probe / COUNTS_FILE).is_file():
        raise UsageError(f"{probe} is no folder of gathered pairs.", "stillroom probe pairs, or import, makes one.")


def signer_of(probe: Path, config: Path | None) -> Signer:
    """The gateway's key, or the folder's own: the one that has signed the log so far.

    Raises UsageError where no pairs were gathered there, the gateway has no key yet, or another key signed the log.
    """
    from stillroom.probe.signer import Signer, goes_on_with, has_own_key, own_signer

    check_gathered(probe)
    if config is None:
        own = own_signer(probe) if has_own_key(probe) or goes_on_with(probe, {"keys": []}) else None
        if own is None or not goes_on_with(probe, own.keys):
            raise UsageError(
                f"The plans in {probe} are signed with a gateway's key, and without its file another key would sign.",
                "Name the file, as when the plan was made: --config gateway.yaml.",
            )
        return own
    from stillroom.serve.keyring import FOLDER, Keyring
    from stillroom.serve.settings import read_settings

    state = read_settings(config).state
    if not (state / FOLDER).is_dir():  # a key that is made here would be one that nobody knows
        raise UsageError(f"{state} has no signing keys yet.", "The gateway makes the first one when it starts.")
    keyring = Keyring.open(state)
    if not goes_on_with(probe, keyring.jwks()):
        raise UsageError(
            f"The plans in {probe} are signed with the folder's own key, or another gateway's, and not this one's.",
            "Leave out --config; or gather the pairs into a new folder, and name the file from its first plan on.",
        )
    return Signer(keyring.active.sign, keyring.jwks())
