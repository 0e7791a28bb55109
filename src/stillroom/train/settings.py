"""What a recipe may say under `train:`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["sft", "answers_only"]


class PartWeights(BaseModel):
    """How much a token of each part of a reply counts in the loss, which is the mean of its tokens by these weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasoning: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """The think block, both of its tags included."""
    answer: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """All that follows: the answer, calls of tools, the end token."""

    @property
    def are_alike(self) -> bool:
        return self.reasoning == self.answer


class LoraSettings(BaseModel):
    """Low-rank adapters beside every linear layer of the decoder; embeddings and the output layer stay as they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=32, ge=1, le=65536)
    alpha: float = Field(default=32.0, gt=0, allow_inf_nan=False)
    """What an adapter computes counts `alpha / rank` times. At a fixed alpha the best learning rate is about the same
    for every rank (Schulman et al. 2025, https://thinkingmachines.ai/blog/lora/, who use 32)."""


class HeldOutSettings(BaseModel):
    """How the student is examined while it is trained, on questions that the check has held out (`check.held_out`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: int = Field(default=100, ge=0)
    """How many are asked each time; 0: none, and the last weights are the student's."""
    every_steps: int | None = Field(default=None, ge=1)
    """None: at the end of each epoch. The last step is always one of them."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Of an answer. None: as long as the longest reply that is trained."""
    stop_after: int | None = Field(default=None, ge=1)
    """Stop early after so many times without more right answers than before. None: go on to the end."""


class TrainSettings(BaseModel):
    """Settings of one training run. Defaults suit a few thousand short traces and a small student."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    student: str
    """A folder of a Hugging Face model (safetensors), a GGUF file, a hub id, or `classroom` for the embedded base."""
    method: Method = "sft"
    """`sft` trains on reasoning and answer; `answers_only` leaves the reasoning out: what is reasoning worth?"""
    weights: PartWeights = PartWeights()
    lora: LoraSettings | None = None
    """Train low-rank adapters in place of all weights: `{}` for those of a usual size."""
    epochs: int = Field(default=3, ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after this many steps, whatever the epochs."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak. None takes the value for the student's size; see `stillroom.train.defaults`."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of all steps over which the learning rate rises."""
    final_learning_rate: float = Field(default=0.1, ge=0, le=1)
    """Where the cosine ends, as a share of the peak."""
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    step_tokens: int = Field(default=4096, ge=1)
    """Tokens of one optimiser step, padding included. A longer row is a step of its own."""
    batch_tokens: int = Field(default=1024, ge=1)
    """Tokens that go through the model at once: rows of one length. A step is several such batches from all over the
    data, and its gradient is that of the mean over all its trained tokens."""
    packing: Literal["auto", "on", "off"] = "auto"
    """Rows one behind the other in one sequence, where none sees another. auto: on a GPU that has FlashAttention;
    elsewhere rows of one length go through together, which is faster there."""
    max_tokens: int = Field(default=2048, ge=8)
    """Rows longer than this are left out and counted, never cut."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 on a GPU that has it, float32 on a CPU. Weights and optimiser are float32 in either case."""
    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    """Compute activations again in backward instead of keeping them: less memory, more time. auto: where the prediction
    does not fit into the memory that is free."""
    held_out: HeldOutSettings = HeldOutSettings()
    """The student is the checkpoint with the most right answers to these."""
    checkpoint_steps: int = Field(default=100, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
    processes: int | None = Field(default=None, ge=1, le=1024)
    """That train together, each on its share of a step. None: one for each GPU, and one where there is none."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """CPU threads; part of what makes two runs equal bit for bit. None takes PyTorch's own choice."""
