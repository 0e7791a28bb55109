from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stillroom.ask.documents import split
from stillroom.ask.source_settings import DocumentSource
from stillroom.ask.sources import read_questions
from stillroom.base.errors import DataError
from stillroom.base.records import Question


def read(folder: Path, path: str, **settings: Any) -> list[Question]:
    source = DocumentSource(path=path, template="What follows from this?\n\n{passage}", **settings)
    return list(read_questions(source, base_folder=folder))


def test_paragraphs_are_joined_as_long_as_they_fit() -> None:
    lines = ["one\n", "more\n", "\n", "two\r\n", " \n", "\n", "three is long\n", "\n", "4"]
    assert list(split(lines, 20)) == ["one\nmore\n\ntwo", "three is long\n\n4"]


def test_a_long_paragraph_is_cut_after_a_sentence_else_at_a_space_else_anywhere() -> None:
    assert list(split(["First one. Second one. Third."], 24)) == ["First one. Second one.", "Third."]
    assert list(split(["one two three four"], 9)) == ["one two", "three", "four"]
    assert list(split(["abcdefghij"], 4)) == ["abcd", "efgh", "ij"]
    assert list(split(["第一句。第二句。第三句。"], 9)) == ["第一句。第二句。", "第三句。"]
    assert list(split(["short\n", "\n", "a paragraph of more\n"], 10)) == ["short", "a", "paragraph", "of more"]


_words = st.text("ab.。 \n\té", max_size=60)


@given(st.lists(_words), st.integers(1, 12))
def test_nothing_is_lost_but_white_space_and_no_passage_is_too_long(parts: list[str], longest: int) -> None:
    text = "\n".join(parts)
    passages = list(split(text.splitlines(keepends=True), longest))
    assert "".join("".join(passages).split()) == "".join(text.split())
    assert all(0 < len(passage) <= longest and passage.strip() for passage in passages)


def test_lines_of_old_macs_and_of_windows(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\rtwo\r")
    (tmp_path / "b.txt").write_bytes(b"one\r\n\r\ntwo\r\n")
    for name in ("a.txt", "b.txt"):
        passages = [question.messages[0].content for question in read(tmp_path, name, max_characters=5)]
        assert [passage.split("\n\n")[1] for passage in passages] == ["one", "two"]


def test_a_folder_in_the_order_of_names(tmp_path: Path) -> None:
    for name, text in {
        "b.md": "# B\n\nbee", "a/z.txt": "zed", "a/.hidden.txt": "no", "c.pdf": "no", "e.txt": "\n", ".x/y.md": "no",
    }.items():  # fmt: skip
        (tmp_path / "notes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "notes" / name).write_text(text)
    first, second = read(tmp_path, "notes", licence="CC0-1.0")
    assert [first.messages[0].content, second.messages[0].content] == [
        "What follows from this?\n\nzed", "What follows from this?\n\n# B\n\nbee",
    ]  # fmt: skip
    assert (first.source, first.licence, first.kind) == ("notes/a/z.txt", "CC0-1.0", "none")
    assert second.meta == {"source_place": "notes/b.md passage 1", "document": "notes/b.md", "passage": 1}
    assert len(read(tmp_path, "notes", count=1)) == 1


def test_the_template_may_name_the_document_and_hold_braces(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x {y}")
    source = DocumentSource(path="a.txt", template="{{In}} {document}: {passage}")
    (question,) = read_questions(source, base_folder=tmp_path)
    assert question.messages[0].content == "{In} a.txt: x {y}"


@pytest.mark.parametrize("template", ["no hole", "{passge}", "{passage} {title}", "{passage", "{passage!r}", "{}"])
def test_a_template_that_cannot_be_filled(template: str) -> None:
    with pytest.raises(ValidationError, match="template"):
        DocumentSource(path="a.txt", template=template)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("one\ncafé".encode("latin-1"))
    (tmp_path / "binary.txt").write_bytes(b"a\0b")
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    (tmp_path / "empty.md").write_text(" \n\n")
    (tmp_path / "bare").mkdir()
    (tmp_path / "linked" / "inner").mkdir(parents=True)
    (tmp_path / "linked" / "inner" / "up").symlink_to(tmp_path / "linked")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    for path, message in {
        "latin.txt": r"latin\.txt line 2 is not UTF-8: byte 4",
        "binary.txt": r"binary\.txt line 1 holds a NUL byte",
        "report.pdf": r"report\.pdf is no document\. Documents end in \.txt or \.md",
        "none.txt": r"There is no file .*none\.txt",
        "empty.md": r"empty\.md holds no text",
        "bare": r"bare holds no text\. Name a file, or a folder with files in",
        "linked": r"up is a link to a folder",
        "loop.txt": r"loop\.txt cannot be read: Too many levels of symbolic links",
    }.items():
        with pytest.raises(DataError, match=message):
            read(tmp_path, path)
