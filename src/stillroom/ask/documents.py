"""Questions about passages of text files: split where paragraphs end, and put into a template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from stillroom.ask.distinct import Place
from stillroom.ask.source_settings import DocumentSource
from stillroom.ask.template import Template
from stillroom.ask.text_lines import text_lines, unreadable
from stillroom.base.errors import DataError
from stillroom.base.records import Message, Question, question_id
from stillroom.text.naming import PLACE

ENDINGS = (".txt", ".md")
_CR_ALONE = re.compile(r"(?<=\r)(?!\n)")
"""Where a line of an old Mac ends."""
_SENTENCE_END = re.compile(r"""[.!?…]["'”’)\]]*\s+|[。！？]|\n""")


def read_documents(source: DocumentSource, base_folder: Path) -> Iterator[tuple[Place, Question]]:
    """A question for each passage of the documents, with its place, `name passage N`. Files come in the order of names.

    Raises DataError: nothing there, no text in it, not UTF-8, a link to another folder.
    """
    path = base_folder / source.path
    template = Template(source.template)
    count = 0
    for place, name, passage in islice(_passages(path, source.max_characters), source.count):
        messages = (Message(role="user", content=template.fill({"passage": passage, "document": name}, place)),)
        count += 1
        yield (
            place,
            Question(
                id=question_id(messages),
                messages=messages,
                source=name,
                licence=source.licence,
                meta={PLACE: str(place), "document": name, "passage": place.number},
            ),
        )
    if count == 0:
        raise DataError(f"{path} holds no text.", f"Name a file, or a folder with files in {' or '.join(ENDINGS)}.")


def _passages(path: Path, max_characters: int) -> Iterator[tuple[Place, str, str]]:
    for file in _documents(path):
        name = file.relative_to(path.parent).as_posix()
        lines = (part for _, line in text_lines(file, name) for part in _CR_ALONE.split(line))
        for number, passage in enumerate(split(lines, max_characters), start=1):
            yield Place(f"{name} passage", number), name, passage


def _documents(path: Path) -> Iterator[Path]:
    """The text files of a folder and its folders, in order; hidden ones are left out."""
    with unreadable(path):
        is_folder = path.is_dir()
    if not is_folder:
        if path.suffix.lower() not in ENDINGS and path.exists():
            raise DataError(f"{path} is no document.", f"Documents end in {' or '.join(ENDINGS)}.")
        yield path
        return
    with unreadable(path):
        inside = sorted(path.iterdir())
    for each in inside:
        if each.name.startswith("."):
            continue
        if each.is_symlink() and not each.is_file():
            raise DataError(f"{each} is a link to a folder, or to nothing.", "Give that folder as a source of its own.")
        if each.is_dir():
            yield from _documents(each)
        elif each.suffix.lower() in ENDINGS:
            yield each


def split(lines: Iterable[str], max_characters: int) -> Iterator[str]:
    """Passages of whole paragraphs (what stands between blank lines), of at most `max_characters` each.

    A longer paragraph is cut after a sentence, else at a space, else where it must be. Passages do not overlap, and
    nothing but white space at their ends is lost. Memory holds one passage, however long the text.
    """
    passage = paragraph = ""
    for piece in _pieces(lines, max_characters):
        if piece:
            paragraph += piece
            while len(paragraph.rstrip()) > max_characters:
                if passage:
                    yield passage
                    passage = ""
                head, paragraph = _cut(paragraph, max_characters)
                if head:
                    yield head
            continue
        paragraph = paragraph.rstrip()
        if passage and paragraph and len(passage) + 2 + len(paragraph) > max_characters:
            yield passage
            passage = ""
        passage = "\n\n".join(text for text in (passage, paragraph) if text)
        paragraph = ""
    if passage:
        yield passage


def _pieces(lines: Iterable[str], longest: int) -> Iterator[str]:
    """The lines with plain ends, in pieces no longer than `longest`; nothing ("") where a paragraph ends."""
    for line in lines:
        text = line.rstrip() + "\n"
        if text == "\n":
            yield ""
            continue
        for start in range(0, len(text), longest):
            yield text[start : start + longest]
    yield ""


def _cut(text: str, longest: int) -> tuple[str, str]:
    """`text` in two, the first of at most `longest` characters and not empty but for white space."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, longest + 1)]
    ends = [end for end in ends if len(text[:end].rstrip()) <= longest]
    at = ends[-1] if ends else text.rfind(" ", 1, longest + 1)
    if at <= 0 or not text[:at].strip():
        at = longest
    return text[:at].strip(), text[at:].lstrip()
