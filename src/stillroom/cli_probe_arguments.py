"""Arguments that `stillroom probe` has in several commands, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.errors import UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from stillroom.probe.signer import Signer

Probe = Annotated[Path, typer.Argument(metavar="PROBE", help="The folder that stillroom probe pairs or import made.")]
Name = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's name.")]
To = Annotated[str, typer.Option("--to", metavar="WHOM", help="Who gets it, for the log.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The gateway's YAML file: its key signs. If not given, a key that is made for the folder.",
    ),
]
Tsa = Annotated[
    str | None,
    typer.Option("--tsa", metavar="URL", help="Have a time stamping authority (RFC 3161) sign that it is in the log."),
]
Roots = Annotated[
    Path | None,
    typer.Option("--roots", metavar="FILE", help="Certificates (PEM) that time stamps have to trace back to."),
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
    """Raises UsageError where no pairs were gathered there, or the gateway has no key yet."""
    from stillroom.probe.signer import Signer, own_signer

    check_gathered(probe)
    if config is None:
        return own_signer(probe)
    from stillroom.serve.keyring import FOLDER, Keyring
    from stillroom.serve.settings import read_settings

    state = read_settings(config).state
    if not (state / FOLDER).is_dir():  # a key that is made here would be one that nobody knows
        raise UsageError(f"{state} has no signing keys yet.", "The gateway makes the first one when it starts.")
    keyring = Keyring.open(state)
    return Signer(keyring.active.sign, keyring.jwks())


def roots_of(path: Path | None) -> list[Certificate] | None:
    if path is None:
        return None
    from stillroom.store.time_stamps import read_roots

    return read_roots(path)
