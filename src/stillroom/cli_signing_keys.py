"""`stillroom signing-key`: the keys that a gateway signs receipts and permits with, on the machine that has them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Config, Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import group_of_commands
from stillroom.text.moments import to_the_second

if TYPE_CHECKING:
    from stillroom.serve.keyring import Keyring

signing_keys = group_of_commands(
    "The keys that a gateway signs receipts and permits with. They lie in its state folder."
)
command = functools.partial(command_of, signing_keys)

_US = 1_000_000


@command("list", "stillroom signing-key list --config gateway.yaml")
def list_keys(config: Config, as_json: Json = False) -> None:
    """List the keys, newest first: the first one signs, and all are published."""
    keys = _keyring(config).jwks()["keys"]
    if as_json:
        print_json({"keys": keys})
        return
    for key in keys:
        until = f"until {to_the_second(key['retired_at'] * _US)}" if "retired_at" in key else "and signs"
        print_result(f"{key['kid']}  since {to_the_second(key['nbf'] * _US)} {until}")


@command("rotate", "stillroom signing-key rotate --config gateway.yaml")
def rotate(config: Config, as_json: Json = False) -> None:
    """Sign with a new key from now on. Running workers follow within seconds; what older keys signed stays good."""
    keyring = _keyring(config)
    new = keyring.rotate()
    if as_json:
        print_json({"kid": new.kid})
    else:
        print_result(
            f"{new.kid} signs from now on.",
            "Copy its file to the other machines of this gateway, if there are any, and into your backup.",
        )


def _keyring(config: Path) -> Keyring:
    with ends_at_once():
        from stillroom.serve.keyring import FOLDER, Keyring
        from stillroom.serve.settings import read_settings

    state = read_settings(config).state
    if not (state / FOLDER).is_dir():
        raise UsageError(f"{state} has no signing keys yet.", "The gateway makes the first one when it starts.")
    return Keyring.open(state)
