"""What an administrator can ask for that cannot be done."""

from __future__ import annotations

from stillroom.base.errors import StillroomError


class NotFound(StillroomError):  # noqa: N818 - the outcome is the name
    """There is nothing with this id, or the administrator's organisation is another one."""


class Conflict(StillroomError):  # noqa: N818
    """It cannot be done as things stand: a name that is taken, an account that is closed."""
