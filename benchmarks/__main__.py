"""``python -m benchmarks``: run all benchmarks, or those named, and write their results."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import central, claims, federation, merge, rules, scope, tpch, utility
from benchmarks.tpch_placements import PLACEMENTS, QUERIES

ALL = ("central", "federation", "merge", "scope", "utility", "tpch", "claims", "rules")
SHARED = Path(os.environ.get("ARCHIPEL_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))

_OF_TPCH = frozenset({"tpch", "rules"})


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, []], help="which to run; all when none is named")
    parser.add_argument("--persons", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the world")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=100, help="agents of the many-nodes figure")
    parser.add_argument("--scale", type=float, default=1.0, help="of TPC-H")
    parser.add_argument("--placements", nargs="+", choices=tuple(PLACEMENTS), default=tuple(PLACEMENTS))
    parser.add_argument("--queries", nargs="+", choices=QUERIES, default=(), help="of TPC-H; all when none is named")
    parser.add_argument("--claims", type=int, default=10_000_000, help="rows of the insurer's claims")
    parser.add_argument(
        "--patients", type=int, default=100_000, help="patients of the hospitals that are joined with them"
    )
    parser.add_argument("--groups", type=int, default=100_000, help="of a total over nodes")
    parser.add_argument("--contributors", type=int, default=20, help="nodes of a total over nodes")
    parser.add_argument("--dir", type=Path, help="keep generated worlds here")
    options = parser.parse_args()
    names = list(options.names or ALL)
    if not (SHARED / "tpch" / "queries").is_dir() and not _OF_TPCH.isdisjoint(names):
        absent = (
            f"the texts of TPC-H's queries are not in {SHARED}: set ARCHIPEL_SHARED_DATA to the folder that has them"
        )
        if options.names:
            parser.error(absent)
        print(f"{', '.join(sorted(_OF_TPCH))} are left out: {absent}")
        names = [name for name in names if name not in _OF_TPCH]
    with tempfile.TemporaryDirectory(prefix="archipel-bench-") as scratch:
        directory = options.dir or Path(scratch)
        if "merge" in names:
            merge.main()
        if "scope" in names:
            scope.main(options.groups, options.contributors)
        if "utility" in names:
            utility.main(directory / "utility", SHARED)
        if "federation" in names:
            federation.main(directory / "federation", nodes=options.nodes, repeats=options.repeats * 8)
        if "central" in names:
            central.main(directory, tuple(options.persons), options.repeats)
        if "claims" in names:
            claims.main(directory / "claims", claims=options.claims, patients=options.patients, repeats=options.repeats)
        if "rules" in names:
            rules.main(directory, SHARED, scale=options.scale, repeats=options.repeats)
        if "tpch" in names:
            tpch.main(
                directory,
                SHARED,
                scale=options.scale,
                placements=options.placements,
                queries=options.queries,
                repeats=options.repeats,
            )


if __name__ == "__main__":
    main()
