"""The insurer's claims joined with the hospitals' patients: what crosses, against the bytes of the claims.

Persons have identifiers of 17 characters, as in the French SNDS. The hospitals' stays say of whom and why; the question
is what was paid for each kind of stay.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from archipel.demo.layout import NodeSetup, TableSetup, write_layout
from archipel.demo.processes import LocalFederation
from benchmarks import measure
from benchmarks.tpch_placements import OPEN

HOSPITALS = 4
CLAIMS_A_PERSON = 20
GOAL_SHARE = 0.02
"""What may cross at most, as a share of the bytes of the claims."""

QUESTIONS = {
    "paid for each kind of stay": (
        "SELECT s.kind, count(*) AS claims, count(DISTINCT c.person) AS persons, sum(c.paid) AS paid "
        "FROM claims c JOIN stays s ON s.person = c.person GROUP BY s.kind ORDER BY s.kind"
    ),
    "paid in the quarter after the stay": (
        "SELECT s.kind, count(*) AS claims, sum(c.paid) AS paid FROM claims c JOIN stays s ON s.person = c.person "
        "AND c.day BETWEEN s.left_on AND s.left_on + 90 GROUP BY s.kind ORDER BY s.kind"
    ),
    "paid for those who were never in hospital": (
        "SELECT c.code, count(*) AS claims, sum(c.paid) AS paid FROM claims c WHERE NOT EXISTS "
        "(SELECT 1 FROM stays s WHERE s.person = c.person) GROUP BY c.code ORDER BY c.code"
    ),
}

# A person's identifier is a hash cut to 17 characters, of which little can be compressed. A person has about 20 claims;
# patients are spread evenly among the persons, and each has one stay.
_CLAIMS = (
    "SELECT left(md5(CAST(hash(range) % $persons AS VARCHAR)), 17) AS person, "
    "DATE '2020-01-01' + CAST(hash(range, 1) % 1460 AS INTEGER) AS day, "
    "'A' || CAST(hash(range, 2) % 500 AS VARCHAR) AS code, "
    "CAST(CAST(hash(range, 3) % 30000 AS DECIMAL(12, 2)) / 100 AS DECIMAL(12, 2)) AS paid FROM range($claims)"
)
_STAYS = (
    "SELECT left(md5(CAST(range * ($persons // $patients) AS VARCHAR)), 17) AS person, "
    "DATE '2020-01-01' + CAST(hash(range, 4) % 1460 AS INTEGER) AS left_on, "
    "'K' || CAST(hash(range, 5) % 30 AS VARCHAR) AS kind FROM range($patients) WHERE range % $hospitals = $hospital"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One question: medians in milliseconds, bytes over borders, and their share of the claims' bytes as Parquet."""

    question: str
    central_ms: float
    federated_ms: float
    ratio: float
    crossed_bytes: int
    share_of_claims: float
    equal: bool


def generate(directory: Path, *, claims: int, patients: int) -> dict[str, list[Path]]:
    """Write claims and stays as Parquet; return the files by table."""
    persons = max(patients, claims // CLAIMS_A_PERSON)
    files: dict[str, list[Path]] = {"claims": [directory / "cnam" / "claims.parquet"], "stays": []}
    for folder in ("cnam", *(f"hospital_{i}" for i in range(HOSPITALS))):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as database:
        rows = database.sql(_CLAIMS, params={"claims": claims, "persons": persons})
        rows.write_parquet(str(files["claims"][0]), compression="zstd")
        for hospital in range(HOSPITALS):
            known = {"persons": persons, "patients": patients, "hospitals": HOSPITALS, "hospital": hospital}
            files["stays"].append(directory / f"hospital_{hospital}" / "stays.parquet")
            database.sql(_STAYS, params=known).write_parquet(str(files["stays"][-1]), compression="zstd")
    return files


def run(directory: Path, *, claims: int, patients: int, repeats: int) -> tuple[list[Row], int]:
    """Measure the questions; also return the bytes of the claims."""
    files = generate(directory / "data", claims=claims, patients=patients)
    claims_bytes = files["claims"][0].stat().st_size
    threads = os.cpu_count() or 1
    limits = {"threads": threads, "memory_limit": "4GB"}
    setups = [NodeSetup("cnam", "CNAM", (TableSetup("claims", files["claims"][0], OPEN),), limits)]
    setups += [
        NodeSetup(path.parent.name, path.parent.name, (TableSetup("stays", path, OPEN),), limits)
        for path in files["stays"]
    ]
    shutil.rmtree(directory / "federation", ignore_errors=True)
    layout = write_layout(directory / "federation", setups)
    measure.compress_what_leaves(layout)
    rows = []
    with (
        duckdb.connect(config={"threads": threads}) as oracle,
        LocalFederation(layout) as federation,
        federation.connect() as connection,
    ):
        oracle.read_parquet(str(files["claims"][0])).create_view("claims")
        oracle.read_parquet([str(path) for path in files["stays"]]).create_view("stays")
        for question, sql in QUESTIONS.items():
            times = measure.interleaved(
                [
                    lambda q=sql: oracle.execute(q).to_arrow_table(),
                    lambda q=sql: connection.query_and_wait(q, timeout_s=600),
                ],
                repeats,
            )
            result = connection.query_and_wait(sql, timeout_s=600)
            central, federated = (measure.median(t) for t in times)
            equal = result.to_arrow().equals(oracle.execute(sql).to_arrow_table())
            share = result.bytes_crossed / claims_bytes
            rows.append(Row(question, central, federated, federated / central, result.bytes_crossed, share, equal))
            print(rows[-1], flush=True)
    return rows, claims_bytes


def main(directory: Path, *, claims: int, patients: int, repeats: int) -> None:
    """Measure and write the table."""
    rows, claims_bytes = run(directory, claims=claims, patients=patients, repeats=repeats)
    header = ["question", "central ms", "federated ms", "ratio", "bytes over borders", "share of the claims' bytes, %"]
    body = [
        [row.question, row.central_ms, row.federated_ms, row.ratio, row.crossed_bytes, 100 * row.share_of_claims]
        for row in rows
    ]
    text = (
        f"# {claims:,} claims at the insurer, {patients:,} patients at {HOSPITALS} hospitals\n\nThe claims are "
        f"{claims_bytes:,} bytes of Parquet; the aim is that less than {100 * GOAL_SHARE:.0f} percent of that crosses "
        f"a border. One machine ({measure.machine()}), real processes, medians of {repeats}; "
        f"{sum(row.equal for row in rows)} of {len(rows)} answers equal the central one.\n\n"
        f"{measure.markdown_table(header, body)}"
    )
    whole = (claims, patients) == (10_000_000, 100_000)
    name = "claims" if whole else f"claims-{claims}-{patients}"
    measure.write_results(name, text, {"claims_bytes": claims_bytes, "rows": [asdict(row) for row in rows]})
