"""A folder from which anyone computes again whether a suspect's answers favour an account's green tokens.

    result.json          what was found, and the digests of the other files
    result.jws           the owner's signature over it
    keys.json            the owner's public keys
    questions.jsonl      what the suspect was asked
    answers.parquet      what it said
    unmarked.parquet     what a model said that was never marked, where the answers were compared with it
    commitments.jsonl    the commitments to all keys, each with its time; they name nobody
    revealed.json        the account's key, where the owner shows it: whoever has it can take the mark out of texts

Of other accounts it holds nothing but how many keys were tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillroom import __version__
from stillroom.base.canonical import digest_bytes
from stillroom.base.errors import DataError, UsageError
from stillroom.base.validation import first_problem
from stillroom.probe.bounded import MOST_FILE_BYTES, read_bounded
from stillroom.probe.watermark.green_test import MOST_ACCOUNTS
from stillroom.store.files import replacing_folder, write_atomically, write_json
from stillroom.store.siblings import Answer, write_rows
from stillroom.text.green_list import KEY_BYTES
from stillroom.text.mark_commitments import Digest

RESULT, SIGNATURE, KEYS, QUESTIONS = "result.json", "result.jws", "keys.json", "questions.jsonl"
ANSWERS, UNMARKED, COMMITMENTS, REVEALED = "answers.parquet", "unmarked.parquet", "commitments.jsonl", "revealed.json"
RESULT_TYPE = "stillroom-watermark-result+jws"
"""The `typ` of the signature."""
SOFTWARE = f"stillroom {__version__}"

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
WeightsName = Literal["each once", "against unmarked"]


class Result(BaseModel):
    """result.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    suspect: Text
    model: Text
    """Whose replies are marked, by the name that it is served under."""
    account: Text | None
    """The one whose mark was found best; null: the owner's, that all have."""
    accounts: Annotated[int, Field(ge=1, le=MOST_ACCOUNTS)]
    """Whose keys were tried: the p-value holds for all of them at once."""
    share: Share
    strength: Annotated[float, Field(gt=0)]
    width: Literal[1] = 1
    tokenizer: Digest
    weights: WeightsName
    seed: Annotated[int, Field(ge=0)]
    random_keys: Count
    z: float
    green: Annotated[float, Field(ge=0, le=1)]
    p_value: Annotated[float, Field(gt=0, le=1)]
    at_most: Annotated[float, Field(ge=0, le=1)]
    pairs: Count
    tokens: Count
    answers: Count
    from_question: Count
    commitment: Count
    """Which line of commitments.jsonl is this account's, from 0."""
    committed_at: Count
    """UTC microseconds."""
    made_at: Count
    software: Text = SOFTWARE
    files: dict[str, Digest]


@dataclass(frozen=True, slots=True)
class Material:
    """What a result was computed from, and is computed again from."""

    questions: Mapping[str, str]
    answers: Sequence[Answer]
    unmarked: Sequence[Answer] | None
    commitments: bytes
    """commitments.jsonl as it is."""
    key: bytes | None
    """None: it is not shown."""


def write_evidence(
    folder: Path,
    result: Mapping[str, Any],
    material: Material,
    keys: Mapping[str, Any],
    sign: Callable[[str, Mapping[str, Any]], str],
) -> Result:
    """A whole folder or none. `result`: all but `files`. `keys`: the owner's JWK set. `sign`: as SigningKey's.

    Raises UsageError where there is one already.
    """
    with replacing_folder(folder) as aside:
        if folder.exists():
            raise UsageError(f"{folder} is there already.", "Name a new folder.")
        lines = [
            orjson.dumps({"question_id": each, "messages": material.questions[each]})
            for each in sorted(material.questions)
        ]
        write_atomically(aside / QUESTIONS, b"".join(line + b"\n" for line in lines))
        write_rows(aside / ANSWERS, Answer, material.answers)
        if material.unmarked is not None:
            write_rows(aside / UNMARKED, Answer, material.unmarked)
        write_atomically(aside / COMMITMENTS, material.commitments)
        if material.key is not None:
            write_json(aside / REVEALED, {"key": material.key.hex()})
        files = {path.name: digest_bytes(path.read_bytes()) for path in sorted(aside.iterdir())}
        whole = Result.model_validate({**result, "files": files})
        content = whole.model_dump(mode="json")
        write_atomically(aside / RESULT, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
        write_atomically(aside / SIGNATURE, sign(RESULT_TYPE, content) + "\n")
        write_json(aside / KEYS, keys)
    return whole


def read_result(folder: Path) -> Result:
    """Raises DataError."""
    path = folder / RESULT
    try:
        return Result.model_validate_json(read_bounded(path))
    except ValidationError as error:
        raise DataError(f"{path} is no result of a watermark: {first_problem(error)}.") from error


def altered_files(folder: Path, result: Result) -> list[str]:
    """What is not as the result says: a sentence for each file that is missing, changed or should not be there."""
    problems = []
    own = {RESULT, SIGNATURE, KEYS}
    there = {path.name for path in folder.iterdir()} - own
    for name in sorted(there | result.files.keys()):
        if name not in result.files:
            problems.append(f"{name} is in the folder, and not in {RESULT}.")
        elif name not in there:
            problems.append(f"{name} is missing.")
        elif digest_bytes(read_bounded(folder / name, MOST_FILE_BYTES)) != result.files[name]:
            problems.append(f"{name} is not the file that was signed.")
    return problems


def read_questions(path: Path) -> dict[str, str]:
    """Messages as JSON, by question id. Raises DataError."""
    found: dict[str, str] = {}
    for number, line in enumerate(read_bounded(path, MOST_FILE_BYTES).splitlines(), 1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}, is not JSON.") from error
        if not isinstance(row, dict) or not isinstance(row.get("question_id"), str):
            raise DataError(f"{path}, line {number}, is no question.")
        found[row["question_id"]] = str(row.get("messages"))
    return found


def read_key(path: Path) -> bytes:
    """Raises DataError."""
    try:
        key = bytes.fromhex(orjson.loads(read_bounded(path))["key"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no key.", "Take the folder again.") from error
    if len(key) != KEY_BYTES:
        raise DataError(f"{path} holds a key of {len(key)} bytes, not {KEY_BYTES}.", "Take the folder again.")
    return key
