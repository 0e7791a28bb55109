"""The sealed-sibling test on students that were trained here: whom it finds, and whom it accuses.

python -m benchmarks.probe_power --make FOLDER              # hours on one core; goes on where it was
python -m benchmarks.probe_power --judge FOLDER [--students FOLDER ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.probe_students.making import make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", type=Path, metavar="FOLDER")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of questions")
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make, scale=arguments.scale)


if __name__ == "__main__":
    main()
