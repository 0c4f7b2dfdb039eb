"""``python -m benchmarks``: run all benchmarks, or those named, and write their results."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import central, federation, merge

ALL = ("central", "federation", "merge")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, []], help="which to run; all when none is named")
    parser.add_argument("--persons", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the world")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=100, help="agents of the many-nodes figure")
    parser.add_argument("--dir", type=Path, help="keep generated worlds here")
    options = parser.parse_args()
    names = options.names or ALL
    with tempfile.TemporaryDirectory(prefix="archipel-bench-") as scratch:
        directory = options.dir or Path(scratch)
        if "merge" in names:
            merge.main()
        if "federation" in names:
            federation.main(directory / "federation", nodes=options.nodes, repeats=options.repeats * 8)
        if "central" in names:
            central.main(directory, tuple(options.persons), options.repeats)


if __name__ == "__main__":
    main()
