"""A model is known by its files, and not by what is written about it."""

from __future__ import annotations

from pathlib import Path

from stillroom.store.stages import file_digest, model_digest


def test_a_card_does_not_make_another_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "more").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "more" / "README.md").write_text("a part of the model")
    before = model_digest(folder)
    assert before == file_digest(folder)
    (folder / "README.md").write_text("a card")
    assert model_digest(folder) == before
    assert file_digest(folder) != before
    (folder / "more" / "README.md").write_text("another part")
    assert model_digest(folder) != before


def test_a_model_may_be_one_file_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    assert model_digest(file) is None
    file.write_bytes(b"GGUF")
    assert model_digest(file) == file_digest(file)
