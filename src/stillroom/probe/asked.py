"""`asked.json`: who asked a suspect, and how, beside the answers that came."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillroom import __version__
from stillroom.base.errors import DataError
from stillroom.base.validation import first_problem
from stillroom.client.settings import Sampling
from stillroom.probe.bounded import read_bounded, read_bounded_rows
from stillroom.probe.pack import ANSWERS
from stillroom.store.files import write_atomically
from stillroom.store.siblings import Answer

ASKED = "asked.json"
SOFTWARE = f"stillroom {__version__}"
MOST_BYTES = 1 << 20

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Count = Annotated[int, Field(ge=0)]


class Asked(BaseModel):
    """The names are those of asked.json. It is the asker's word: what can be computed is not read from here."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    plan: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """The digest of the plan that the questions came with."""
    by: Text | None = None
    model: Text
    """As it was asked for; of one that ran on the asker's own machine, with the first digits of its digest."""
    address: Text | None = None
    """None: a model that ran on the asker's own machine."""
    served_models: tuple[str, ...] = Field(default=(), strict=False)
    """As the endpoint named who answered: several where that changed."""
    samples: Count
    """Asked for of each question; 0 where only likelihoods were."""
    sampling: Sampling
    questions: Count
    by_status: dict[str, Count] = Field(default_factory=dict)
    """Rows of answers.parquet: `ok`, `truncated`, `refused`, `empty`, `failed`."""
    likelihoods: dict[str, str] = Field(default_factory=dict)
    """Of which models likelihoods were asked, by `suspect` or `base`: its name."""
    first_at: Count
    """UTC microseconds."""
    last_at: Count
    is_whole: bool
    """Whether every question was asked; what is missing is not there yet, and the same command goes on."""
    spent_usd: str | None = None
    software: Text = SOFTWARE


CUT = "length"
"""The `finish_reason` of an answer that a limit of tokens cut, whatever the endpoint calls it."""
_UNUSABLE = ("failed: ", "refused: ")


def reason_of(status: str, why: str | None) -> str:
    """The `finish_reason` of an answer, from a reply's status (`ok`, `truncated`, `refused`, `empty`, `failed`)."""
    if status == "truncated":
        return CUT
    return why or "stop" if status == "ok" else f"{status}: {why or 'no reason given'}"


def is_usable(answer: Answer) -> bool:
    """Whether it says anything: it was not refused, did not fail, and has a text. Reasoning that came to no answer is a
    text as well: small models often stop there, and what they learned shows in it."""
    return bool(answer.text.strip()) and not (answer.finish_reason or "").startswith(_UNUSABLE)


def is_cut(answer: Answer) -> bool:
    return answer.finish_reason == CUT


def read_said(folder: Path) -> list[Answer]:
    """The answers in a folder that `stillroom probe ask` wrote. Raises DataError where there are none."""
    if (folder / ASKED).is_file() and not (folder / ANSWERS).exists():
        raise DataError(
            f"{folder} has likelihoods and no answers: its plan asked for no texts.",
            "Ask with the pack of a plan whose measure is one of texts.",
        )
    return read_bounded_rows(folder / ANSWERS, Answer)


def write_asked(folder: Path, asked: Asked) -> None:
    write_atomically(folder / ASKED, asked.model_dump_json(indent=2) + "\n")


def read_asked(folder: Path) -> Asked:
    """Raises DataError where it is missing, too large, or something else."""
    path = folder / ASKED
    if path.is_symlink() or not path.is_file():
        raise DataError(f"{path} is not there, or no file.", "Name the folder that probe ask wrote.")
    try:
        return Asked.model_validate_json(read_bounded(path, MOST_BYTES))
    except ValidationError as error:
        raise DataError(f"{path} is not what probe ask writes: {first_problem(error)}.") from error
