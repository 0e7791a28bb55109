"""One of the processes that judge a data set's rows: told of its order's file, it ends with its standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stillroom.base.child_process import end_with_parent, report_stream
from stillroom.base.errors import StillroomError


def main() -> None:
    end_with_parent()
    reports = report_stream()

    def report(value: object) -> None:
        reports.write(json.dumps(value) + "\n")
        reports.flush()

    from stillroom.check.receipts.part import Order, work  # after the first line, since loading takes a while

    report({"ready": True})
    order = Order.of_json(json.loads(Path(json.loads(sys.argv[1])).read_bytes()))
    try:
        for rows in work(order):
            report({"rows": rows})
    except StillroomError as error:
        report({"what": error.what, "remedy": error.remedy})
    else:
        report({"done": True})


main()
