"""Which database a gateway uses."""

from __future__ import annotations

import os

from stillroom.base.errors import UsageError
from stillroom.serve.settings import GatewaySettings


def database_url(settings: GatewaySettings) -> str:
    """Of accounts, limits and permits. Raises UsageError where a variable is named that is not set."""
    if settings.database is None:
        return f"sqlite:///{settings.state / 'gateway.db'}"
    if settings.database.isidentifier():
        url = os.environ.get(settings.database, "").strip()
        if not url:
            what = f"The environment variable {settings.database}, which database names, is not set."
            raise UsageError(what, "Set it to postgresql://USER:PASSWORD@HOST/NAME.")
        return url
    return settings.database
