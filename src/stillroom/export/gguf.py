"""A student as one GGUF file, for llama.cpp and what is built on it: written by its own converter, and checked."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gguf import GGUFReader
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from stillroom.base.errors import ModelError
from stillroom.base.progress import Progress
from stillroom.export.gguf_check import check_gguf, match_begin, refuse_other_template
from stillroom.export.gguf_converter import PACKAGE, Precision, convert, converter_script, copy_for_converter
from stillroom.export.llama_cpp import refuse_no_llama_cpp
from stillroom.generate.load import load_tokenizer
from stillroom.store.files import replacing

STAGE = "export gguf"


def export_gguf(student: Path, out: Path, *, precision: Precision = "f16", progress: Progress) -> dict[str, Any]:
    """Write the model in the Hugging Face folder `student` to the file `out`, which is whole and checked, or not there.

    llama.cpp loads the file before it gets its name, and has to read a chat and texts as the same tokens, to end a
    reply at each end token of the student, to show its think tags, and to write what the student would: each token of
    its greedy replies must be the student's own best, or as good but for rounding. `q8_0` rounds weights to 8 bits.

    Returns what the file is and how far it agreed. Raises ModelError for a student that llama.cpp does not know, or of
    which it makes something else, and UsageError where llama.cpp is not installed.
    """
    script = converter_script()
    refuse_no_llama_cpp()
    if not (student / "config.json").is_file():
        raise ModelError(f"There is no model folder at {student}.", "Name a folder with config.json and safetensors.")
    tokenizer, end_ids, _ = load_tokenizer(student)
    if not end_ids:
        raise ModelError(f"{student} has no end token.", "Set eos_token_id in its generation_config.json.")
    progress.update(STAGE, 0, 2, step="converting")
    own_end = tokenizer.eos_token_id
    end_id = own_end if isinstance(own_end, int) and own_end in end_ids else min(end_ids)
    with replacing(out) as file, tempfile.TemporaryDirectory(prefix="stillroom-gguf-") as copy:
        copy_for_converter(student, Path(copy), tokenizer, _architecture(student), end_id)
        convert(script, Path(copy), file, out.stem, precision)
        reader = GGUFReader(file, "r+")
        match_begin(reader, tokenizer)
        refuse_other_template(reader, tokenizer)
        facts = {"precision": precision, **_read_back(reader)}
        progress.update(STAGE, 1, 2, step="checking with llama.cpp")
        agreement = check_gguf(file, student, tokenizer, end_ids, precision)
    progress.update(STAGE, 2, 2, step="done")
    return {
        "file": out.name,
        "bytes": out.stat().st_size,
        **facts,
        "converter": f"{PACKAGE} {version(PACKAGE)}",
        "checked_with": f"xllamacpp {version('xllamacpp')}",
        "agreement": asdict(agreement),
    }


def _architecture(student: Path) -> str:
    """The class that transformers loads for this folder."""
    model_type = json.loads((student / "config.json").read_bytes())["model_type"]
    name = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(model_type)
    if name is None:
        raise ModelError(
            f"{student} is no causal language model, but {model_type}.", "Export a student of the Llama or Qwen family."
        )
    return str(name)


def _read_back(reader: GGUFReader) -> dict[str, Any]:
    architecture = reader.get_field("general.architecture")
    tokens = reader.get_field("tokenizer.ggml.tokens")
    assert architecture is not None
    assert tokens is not None
    return {"architecture": architecture.contents(), "vocabulary": len(tokens.data), "tensors": len(reader.tensors)}
