"""The trained student's folder, and the digest of the weights that training began from."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from stillroom.base.canonical import digest, digest_bytes
from stillroom.generate.load import quiet
from stillroom.store.files import sync
from stillroom.train.checkpoint import told_if_not_written


def weights_digest(model: Any) -> str:
    return digest({name: digest_bytes(p.detach().cpu().numpy().tobytes()) for name, p in model.named_parameters()})


def write_student(out: Path, model: Any, tokenizer: Any, end_ids: Collection[int]) -> None:
    """`out/student`: a Hugging Face folder, whole or not there at all. The model stops at each of `end_ids`."""
    partial = out / "student.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.eval()
    model.generation_config.eos_token_id = sorted(end_ids) if len(end_ids) > 1 else min(end_ids)
    with quiet(), told_if_not_written(out / "student"):
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        for file in partial.iterdir():
            file.chmod(0o644)  # safetensors writes files that only their owner can read
            sync(file)
        sync(partial)
        shutil.rmtree(out / "student", ignore_errors=True)
        partial.replace(out / "student")
        sync(out)  # before the checkpoints go
