"""What would stop a run at its first call, found before anything is written."""

from __future__ import annotations

from pathlib import Path

from stillroom.ask.prompt import prompt_messages
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.client.price import pricing
from stillroom.client.settings import Endpoint
from stillroom.client.transport import Transport


def refuse_what_cannot_be_asked(teacher: TeacherSettings, settings: AskSettings) -> None:
    """Raises what `refuse_what_cannot_be_called` does, and DataError for a file of the teacher's prompt that cannot be
    read.
    """
    refuse_what_cannot_be_called(teacher)
    prompt_messages(settings, Path())


def refuse_what_cannot_be_called(endpoint: Endpoint) -> None:
    """Raises RecipeError for a price that nobody knows, a key that is not set, an address that is none or a permit that
    is none, and PermitOver for a permit that does not hold now.
    """
    pricing(endpoint)
    for address in endpoint.addresses:
        Transport(endpoint, address)
