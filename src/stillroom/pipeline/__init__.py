"""The stages, wired: what the commands call, and what a notebook uses.

    import stillroom.pipeline as sr
    sr.ask("recipe.yaml")

Each function takes a recipe (or its file), does what is not done yet in `runs/NAME/`, and returns the stage's figures.
A stage whose settings and input files are unchanged is skipped, so that an interrupted run goes on where it stopped.
"""

from stillroom.pipeline.asking import ask, estimate
from stillroom.pipeline.checking import check, verify_dataset, verify_receipts
from stillroom.pipeline.examining import exam
from stillroom.pipeline.exporting import export
from stillroom.pipeline.looking import look, look_at_masks
from stillroom.pipeline.serving import serve, serve_gateway
from stillroom.pipeline.training import sweep, train
from stillroom.pipeline.whole_run import report, run

__all__ = [
    "ask",
    "check",
    "estimate",
    "exam",
    "export",
    "look",
    "look_at_masks",
    "report",
    "run",
    "serve",
    "serve_gateway",
    "sweep",
    "train",
    "verify_dataset",
    "verify_receipts",
]
