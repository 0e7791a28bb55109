"""Models are served, by themselves or behind a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stillroom.classroom.models import teacher_folder as classroom_teacher
from stillroom.recipe import CLASSROOM
from stillroom.run_folder import importing_extra


def serve(models: Mapping[str, Path], host: str, port: int, threads: int | None = None) -> None:
    """Serve model folders (`classroom` is the embedded teacher's) until interrupted."""
    with importing_extra("serve"):
        from stillroom.serve.run import serve as serve_models
    folders = {name: classroom_teacher() if path == Path(CLASSROOM) else path for name, path in models.items()}
    serve_models(folders, host, port, threads=threads)


def serve_gateway(
    config: Path,
    models: Mapping[str, Path],
    host: str | None = None,
    port: int | None = None,
    *,
    workers: int | None = None,
    threads: int | None = None,
) -> None:
    """Be the gateway that a YAML file describes, until interrupted; `models` are folders to serve beside its own."""
    with importing_extra("gateway"):
        from stillroom.serve.gateway.supervisor import run_gateway
        from stillroom.serve.settings import read_settings, with_changes
    folders = {name: classroom_teacher() if path == Path(CLASSROOM) else path for name, path in models.items()}
    read = read_settings(config, {CLASSROOM: classroom_teacher()})
    settings = with_changes(read, folders, host=host, port=port, workers=workers)
    run_gateway(settings, threads=threads)
