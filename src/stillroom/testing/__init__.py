"""Doubles for the outermost boundary: a teacher that misbehaves on request, over real HTTP, for our tests and yours.

`MisbehavingTeacher` is a context manager; what it can do wrong is in `stillroom.testing.faults`.
"""

from stillroom.testing.answer import Answer
from stillroom.testing.ledger import LedgerEntry, Price, read_ledger
from stillroom.testing.limits import Limits
from stillroom.testing.owner import Owner
from stillroom.testing.rules import Rule
from stillroom.testing.teacher import MisbehavingTeacher

__all__ = ["Answer", "LedgerEntry", "Limits", "MisbehavingTeacher", "Owner", "Price", "Rule", "read_ledger"]
