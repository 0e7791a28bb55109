"""`python -m stillroom.testing ORDER`: the process behind `spawned_teacher`. Ends when its standard input does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stillroom.base.errors import StillroomError
from stillroom.testing.script import Script


def main() -> int:
    order = json.loads(sys.argv[1])
    script = Script.model_validate_json(json.dumps(order["script"]))
    ledger = None if order["ledger"] is None else Path(order["ledger"])
    try:
        with script.teacher(port=order["port"], ledger=ledger) as teacher:
            _print({"base_url": teacher.base_url})
            sys.stdin.read()
        _print(teacher.summary())
    except StillroomError as error:
        _print({"what": error.what, "remedy": error.remedy})
        return error.exit_code
    return 0


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
