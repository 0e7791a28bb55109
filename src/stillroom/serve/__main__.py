"""The process behind `stillroom.serve.spawn`: one JSON argument, one JSON line, and it ends with its standard input.

People use `stillroom serve`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from stillroom.base.errors import StillroomError


def main() -> None:
    # First of all: loading takes seconds, and who started us may be gone before it is over.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    report_file = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no report

    def report(content: dict[str, str]) -> None:
        print(json.dumps(content), file=report_file, flush=True)

    order = json.loads(sys.argv[1])
    from stillroom.serve.run import serve

    try:
        serve(
            {name: Path(path) for name, path in order["models"].items()},
            port=0,
            threads=order["threads"],
            max_batch=order["max_batch"],
            on_ready=lambda url: report({"url": url}),
        )
    except StillroomError as error:
        report({"what": error.what, "remedy": error.remedy})
        sys.exit(error.exit_code)


def _end_with_parent() -> None:
    # The pipe gives its end when the last process that holds the other side is gone, killed or not.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


main()
