"""`stillroom watch`: from the gateway's calls to findings that a careful person can act on."""

from __future__ import annotations

import typer

app = typer.Typer(help="See distillation campaigns in a gateway's calls.", no_args_is_help=True)
