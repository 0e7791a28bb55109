"""The process behind `stillroom.serve.spawn`: one JSON argument, one JSON line, and it ends with its standard input.

People use `stillroom serve`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stillroom.base.child_process import end_with_parent, report_stream
from stillroom.base.errors import StillroomError


def main() -> None:
    end_with_parent()
    report_file = report_stream()

    def report(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=report_file, flush=True)

    order = json.loads(sys.argv[1])
    from stillroom.serve.run import serve
    from stillroom.serve.settings import WatermarkSettings

    try:
        serve(
            {name: Path(path) for name, path in order["models"].items()},
            port=order["port"],
            threads=order["threads"],
            max_batch=order["max_batch"],
            scores=order["scores"],
            watermarks={name: WatermarkSettings.model_validate(each) for name, each in order["watermarks"].items()},
            on_ready=lambda url, tokenizers: report(
                {"url": url, "port": urlsplit(url).port, "tokenizers": {**tokenizers}}
            ),
        )
    except StillroomError as error:
        report({"what": error.what, "remedy": error.remedy})
        sys.exit(error.exit_code)


main()
