"""One training run: traces in, a student's folder out."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from stillroom.base.canonical import digest, digest_bytes
from stillroom.base.errors import DataError, ModelError
from stillroom.base.progress import Progress
from stillroom.generate.load import LocalModel, load_model
from stillroom.store.files import write_json
from stillroom.store.lock import FolderLock
from stillroom.store.tables import read_traces
from stillroom.train.batches import fill_batches
from stillroom.train.defaults import default_learning_rate
from stillroom.train.gate import Gate, admitted
from stillroom.train.held_out import HeldOutFiles, HeldOutMark, as_asked, count_right
from stillroom.train.launch import processes_of, train_together
from stillroom.train.loop import Examination, Loop, uses_bfloat16
from stillroom.train.lora import ADAPTER, lora_facts, merged, refuse_new_tokens, save_adapter, with_lora
from stillroom.train.loss import batch_loss, collate, head_is_plain
from stillroom.train.memory_plan import plan
from stillroom.train.packing import prepare
from stillroom.train.peak_memory import peak_bytes
from stillroom.train.render import Rendered, Renderer, Row
from stillroom.train.settings import TrainSettings
from stillroom.train.student import weights_digest, write_student
from stillroom.train.tensorboard import Scalars
from stillroom.train.together import Together


def train(
    traces: Path,
    student: Path,
    out: Path,
    settings: TrainSettings,
    progress: Progress,
    *,
    held_out: HeldOutFiles | None = None,
    before_replacing: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train `student` (a model folder or GGUF file) on the rows of `traces` (Parquet); what comes out lies in `out`.

    Writes `out/checkpoints/`, `out/student/` (a Hugging Face folder, float32 safetensors) and `out/train.json`, whose
    content is returned. Called again after a kill, it goes on from the newest checkpoint, and ends with the weights of
    a run that was never interrupted (bit for bit on a CPU with the same number of threads). With `held_out` questions
    the student is the one of its checkpoints that answered most of them rightly.

    `before_replacing` is called when all is trained, before an earlier student in `out` gives way.

    Raises ModelError when the student cannot be loaded, DataError when no row is left to train on or training diverges,
    StoreError while another process trains there.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(out / "train.lock", f"The training in {out}")
    try:
        processes = processes_of(settings)
        if processes > 1:
            before_replacing()  # the processes know nothing of it
            return train_together(processes, traces, student, out, settings, progress, held_out=held_out)
        return train_here(
            traces, student, out, settings, progress, held_out=held_out, before_replacing=before_replacing
        )
    finally:
        lock.release()


def train_here(
    traces: Path,
    student: Path,
    out: Path,
    settings: TrainSettings,
    progress: Progress,
    *,
    held_out: HeldOutFiles | None = None,
    before_replacing: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """What `train` does, in this process, which may be one of several that were started together."""
    together = Together()
    _fix_arithmetic(settings)
    local = load_model(student)
    model: Any = local.model
    model.to(together.device).train()
    start, parameters = weights_digest(model), model.num_parameters()
    renderer = Renderer(local.tokenizer, settings.method, local.end_ids, settings.weights)
    rows, counts = _rows(traces, local, renderer, settings)
    adapted = _adapted(local, rows, renderer.end_ids, settings)
    examine = None
    if held_out is not None and settings.held_out.questions:
        stops = LocalModel(local.path, model, local.tokenizer, frozenset(renderer.end_ids), local.context)
        examine = _examination(held_out, stops, renderer, settings, rows, together.device)
    bfloat16 = uses_bfloat16(settings, together.device)
    with torch.autocast(together.device.type, torch.bfloat16, enabled=bfloat16):
        packed = prepare(model, settings.packing, together.device)
    if bfloat16 and together.device.type == "cpu" and not _has_16_bit_products():
        progress.say("train: this processor has no products in 16 bits: train.precision: float32 is faster on it.")
    memory = plan(adapted or model, rows, settings, bfloat16=bfloat16, packed=packed, sharing=together.count)
    if memory.checkpointing and settings.gradient_checkpointing == "auto":
        progress.say(
            "train: memory would not do without gradient checkpointing, which makes a step about a third longer."
        )
    loop = Loop(
        adapted or model,
        rows,
        settings,
        together,
        pad_id=local.tokenizer.pad_token_id or 0,
        peak=settings.learning_rate or default_learning_rate(parameters, with_lora=adapted is not None),
        packed=packed,
        scalars=Scalars(out / "tensorboard", progress) if together.is_first else None,
        examine=examine,
    )
    loop.measure_matrix_rate(torch.bfloat16 if bfloat16 else torch.float32)
    checkpoints = out / "checkpoints"
    identity = digest([settings.model_dump(exclude={"processes"}), digest_bytes(traces.read_bytes()), start])
    loop.resume(checkpoints, identity)
    together.wait()
    with memory.explaining_out_of_memory():
        loop.to_the_end(checkpoints, identity, progress)
    report = {
        "method": settings.method,
        "student": settings.student,
        "student_digest": start,
        "parameters": parameters,
        "lora": None if adapted is None else lora_facts(adapted),
        **counts,
        "epochs": settings.epochs,
        **loop.report(),
        **memory.report(),
        "peak_bytes": peak_bytes(together.device),
        "packed": packed,
        "seed": settings.seed,
        "threads": torch.get_num_threads(),
        "processes": together.count,
    }
    if together.is_first:
        before_replacing()
        shutil.rmtree(out / ADAPTER, ignore_errors=True)  # of an earlier training
        if adapted is not None:
            save_adapter(adapted, out, settings.student)
            model = merged(adapted)
        write_student(out, model, local.tokenizer, renderer.end_ids)
        write_json(out / "train.json", report)
        shutil.rmtree(checkpoints, ignore_errors=True)
    together.wait()
    return report


def _rows(
    traces: Path, local: LocalModel, renderer: Renderer, settings: TrainSettings
) -> tuple[list[Row], dict[str, Any]]:
    """What is trained on, and what train.json says of how much that is. Raises DataError and ModelError."""
    gate = Gate(local.tokenizer, settings.method, renderer.end_ids, settings.weights)
    rendered = admitted(renderer.render_all(read_traces(traces)), gate, traces.name)
    rows, trained_traces, skipped = rows_that_fit(rendered, min(settings.max_tokens, local.context))
    _refuse_unknown_tokens(rows, local.model)
    first_BT, _ = collate(rows[:1], local.tokenizer.pad_token_id or 0, local.model.device)
    if not head_is_plain(local.model, first_BT):
        raise ModelError(
            "This student changes its logits after its output layer (it scales or caps them), which this trainer "
            "does not do.",
            "Use a student of another family (Llama, Qwen, Mistral and SmolLM are known to work).",
        )
    return rows, {"traces": trained_traces, "rows": len(rows), "skipped": dict(skipped)}


def rows_that_fit(rendered: Iterable[Rendered], max_tokens: int) -> tuple[list[Row], int, Counter[str]]:
    """All rows that fit, the number of traces that they are of, and how many rows were left out, by reason.

    A conversation may have several rows. Raises DataError where no row is left.
    """
    rows: list[Row] = []
    traces = 0
    skipped: Counter[str] = Counter()
    for each in rendered:
        fitting = [row for row in each.rows if len(row.ids) <= max_tokens]
        rows += fitting
        traces += bool(fitting)
        if len(fitting) < len(each.rows):
            skipped["too_long"] += len(each.rows) - len(fitting)
    if not rows and skipped:
        raise DataError(
            f"No trace is left to train on: all {skipped['too_long']} are longer than {max_tokens} tokens.",
            "Raise train.max_tokens.",
        )
    if not rows:
        raise DataError(
            "There is no trace to train on: check kept none of the replies.",
            "See why with `stillroom look`, or in check.json and rejected.parquet of the run.",
        )
    return rows, traces, skipped


def _adapted(
    local: LocalModel, rows: Sequence[Row], end_ids: Collection[int], settings: TrainSettings
) -> PeftModel | None:
    """The student with the adapters that the settings want, in place; None where they want none."""
    if settings.lora is None:
        return None
    refuse_new_tokens(rows, local.model, local.tokenizer, end_ids)
    return with_lora(local.model, settings.lora, settings.seed)


def _examination(
    files: HeldOutFiles,
    local: LocalModel,
    renderer: Renderer,
    settings: TrainSettings,
    trained: Sequence[Row],
    device: torch.device,
) -> Examination | None:
    """What asks the held-out questions; None where there are none."""
    traces = files.read_traces(settings.held_out.questions)
    rendered = [each for each in renderer.render_all(traces) if each.problem is None]
    rows = [row for each in rendered for row in each.rows if len(row.ids) <= local.context]
    if not rows:
        return None
    asked = as_asked(rendered, files.read_questions(traces), local)
    longest = max(reply.stop - reply.start for row in trained for reply in row.replies)
    limit = settings.held_out.max_tokens or longest
    pad_id = local.tokenizer.pad_token_id or 0

    def examine(step: int) -> HeldOutMark:
        right, cut = count_right(asked, local, limit)
        loss = _mean_loss(local.model, rows, settings, pad_id, device)
        return HeldOutMark(step, right, len(asked), loss, cut)

    return examine


def _mean_loss(model: Any, rows: Sequence[Row], settings: TrainSettings, pad_id: int, device: torch.device) -> float:
    """Nats per trained token, by the weights of the tokens."""
    order = sorted(range(len(rows)), key=lambda row: len(rows[row].ids))
    total = 0.0
    with torch.no_grad():
        for batch in fill_batches(order, [len(row.ids) for row in rows], settings.batch_tokens):
            with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(settings, device)):
                of_batch = [rows[row] for row in batch]
                total += batch_loss(model, of_batch, pad_id=pad_id, device=device, packed=False).item()
    return total / sum(float(row.weights.sum(dtype="float64")) for row in rows)


def _refuse_unknown_tokens(rows: Sequence[Row], model: Any) -> None:
    known = model.get_input_embeddings().num_embeddings
    largest = max(int(row.ids.max()) for row in rows)
    if largest >= known:
        raise ModelError(
            f"The student's tokenizer has the token {largest}, and its model knows {known:,} tokens.",
            "Give the model an embedding for each token first (resize_token_embeddings), or take its own tokenizer.",
        )


def _has_16_bit_products() -> bool:
    """Whether this CPU multiplies bfloat16 matrices by itself: elsewhere each product is converted, and slower."""
    # PyTorch has no public question for it; a version that knows neither of these is not warned of.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, lambda: True)() for question in questions)


def _fix_arithmetic(settings: TrainSettings) -> None:
    """One thread count, one seed, and only kernels that add in a fixed order."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
