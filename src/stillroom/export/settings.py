"""What can be exported, and how."""

from __future__ import annotations

from typing import Literal

DatasetTarget = Literal["trl", "axolotl", "llama-factory", "openai"]
ModelTarget = Literal["gguf", "merged"]
Target = Literal["trl", "axolotl", "llama-factory", "openai", "gguf", "merged"]
Reasoning = Literal["keep", "drop"]
"""`keep`: a reply begins with its reasoning in one think block, as the student is trained here; `drop`: it has none."""
