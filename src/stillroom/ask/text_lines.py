"""Text files line by line, compressed or not. Every problem names the file and the line."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

from stillroom.base.errors import DataError

COMPRESSIONS: dict[str, Literal["gzip", "zstd"]] = {".gz": "gzip", ".zst": "zstd"}
LONGEST_LINE = 64 * 2**20
"""Bytes. What is longer is no text that a model could be asked about, and would fill the memory."""
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def text_lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Each line with its number, counted from 1, and with its end. A byte order mark is left out.

    Raises DataError, calling the file `name`: it is not there, cannot be read, ends within its compressed data, is not
    UTF-8, holds a NUL, or has a line of more than LONGEST_LINE bytes.
    """
    number = 0
    with unreadable(path), opened(path) as file:
        while data := file.readline(LONGEST_LINE + 1):
            number += 1
            yield number, _text(data, number, f"{name} line {number}")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed as its name says. Raises OSError, also while it is read."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is None:
        with path.open("rb") as file:
            yield file
        return
    import pyarrow as pa  # heavy, and needed for compressed files alone: it notices a file that ends too early

    if not path.is_file():
        path.open("rb").close()  # the system's own words for what is wrong
    with pa.input_stream(str(path), compression=compression) as stream, io.BufferedReader(stream) as buffered:  # type: ignore[type-var]
        yield buffered


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Around opening and reading `path`: what the system says becomes a DataError, as does a pipe."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # it would be waited for, and read only once
            raise DataError(f"{path} is neither a file nor a folder.", "Write what comes from it into a file.")
        yield
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.", "A path is taken from the recipe's folder.") from error
    except IsADirectoryError as error:
        raise DataError(
            f"{path} is a folder.", "Name a file in it; from: documents and from: huggingface read whole folders."
        ) from error
    except OSError as error:
        remedy = "Mend the path or its rights." if error.strerror else "Is it whole, and is it what its name says?"
        raise DataError(f"{path} cannot be read: {error.strerror or error}.", remedy) from error


def _text(data: bytes, number: int, place: str) -> str:
    if number == 1 and data[:2] in _MARKS:
        raise DataError(f"{place} is {_MARKS[data[:2]]}, not UTF-8.", "Save the file as UTF-8.")
    if len(data) > LONGEST_LINE:
        raise DataError(f"{place} is longer than {LONGEST_LINE // 2**20} MiB.", "Are the line ends missing?")
    if b"\0" in data:
        raise DataError(f"{place} holds a NUL byte: it is not text in UTF-8.", "Save the file as UTF-8.")
    try:
        return data.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{place} is not UTF-8: byte {error.start + 1}.", "Save the file as UTF-8.") from error
