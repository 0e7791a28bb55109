"""What can go wrong that a person can mend. Each error says what happened, to which row, and what to do.

StillroomError                exit code 1: stopped by a problem it names
├── UsageError                exit code 2: the command or the recipe is written wrongly
│   └── RecipeError           a key, a type or a value in a recipe
├── DataError                 a file or a row that cannot be read as what it should be
│   └── DivergedError         training's loss is no number any more
├── StoreError                the run's own files: damaged, newer than this version, or in use by another process
├── TeacherError              the endpoint will not answer, whatever the question
│   ├── TeacherUnreachable    nobody listens there
│   ├── KeyRefused            401 or 403
│   ├── NoSuchModel           the endpoint does not have this model
│   ├── OutOfCredit           exit code 3: the account's quota is used up
│   └── PermitRefused         the model's owner does not take the permit for these calls
│       └── PermitOver        exit code 3: spent, expired, revoked, or not begun
├── TermsError                what the teacher's terms say grants nothing: they forbid it, or nobody knows
├── ModelError                a model folder that cannot be loaded safely
├── ServeError                the server could not start (port taken)
└── Stopped                   exit code 3: interrupted, nothing lost, the same command goes on
    └── BudgetReached         one more call could pass a limit of the recipe
"""

from __future__ import annotations


class StillroomError(Exception):
    """Base of every error that a user can cause.

    `what` is one sentence about what happened (and to which row), `remedy` is one sentence about what to do next.
    """

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}".strip())
        self.what = what
        self.remedy = remedy


class UsageError(StillroomError):
    exit_code = 2


class RecipeError(UsageError):
    pass


class DataError(StillroomError):
    pass


class DivergedError(DataError):
    pass


class StoreError(StillroomError):
    pass


class TeacherError(StillroomError):
    pass


class TeacherUnreachable(TeacherError):  # noqa: N818 - the outcome is the name
    pass


class KeyRefused(TeacherError):  # noqa: N818
    pass


class NoSuchModel(TeacherError):  # noqa: N818
    pass


class OutOfCredit(TeacherError):  # noqa: N818
    exit_code = 3


class PermitRefused(TeacherError):  # noqa: N818
    pass


class PermitOver(PermitRefused):
    exit_code = 3


class TermsError(StillroomError):
    pass


class ModelError(StillroomError):
    pass


class ServeError(StillroomError):
    pass


class Stopped(StillroomError):  # noqa: N818
    exit_code = 3


class BudgetReached(Stopped):
    pass
