"""Federated against central: the demo's questions over real processes, and over one DuckDB that holds everything.

Both are asked in turn in one run on one machine, so their ratio means something and their single times do not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from archipel import synthetic
from archipel.demo.layout import write_layout
from archipel.demo.oracle import Oracle, compare, shards_of
from archipel.demo.processes import LocalFederation
from archipel.demo.questions import QUESTIONS
from archipel.demo.world_setup import world_setups
from benchmarks import measure

SEED = 7
HOSPITALS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One question at one size: times in milliseconds, bytes of Arrow that crossed and of Parquet that stayed."""

    persons: int
    question: str
    central_ms: float
    federated_ms: float
    ratio: float
    crossed_bytes: int
    scanned_bytes: int
    equal_rows: int
    other_rows: int
    absent_rows: int


def run(directory: Path, persons: int, repeats: int) -> tuple[list[Row], dict[str, float]]:
    """Measure all questions at one size; also return the CPU seconds that each process used."""
    world = directory / f"world-{persons}"
    if not (world / "WORLD.json").exists():
        synthetic.generate(world, persons=persons, hospitals=HOSPITALS, seed=SEED)
    layout = write_layout(directory / f"federation-{persons}", world_setups(world))
    oracle = Oracle(shards_of(world))
    rows = []
    with LocalFederation(layout) as federation, federation.connect() as connection:
        names = ["coordinator", *layout.node_configs]
        for question in (q for q in QUESTIONS if not q.expect_refusal):
            times = measure.interleaved(
                [lambda q=question: oracle.query(q.sql), lambda q=question: connection.query_and_wait(q.sql)], repeats
            )
            central, federated = (measure.median(t) for t in times)
            result = connection.query_and_wait(question.sql)
            same = compare(result.to_arrow(), oracle.query(question.sql), question.keys)
            rows.append(
                Row(
                    persons=persons,
                    question=question.title.split(",")[0].split(":")[0],
                    central_ms=central,
                    federated_ms=federated,
                    ratio=federated / central,
                    crossed_bytes=sum(node.bytes_crossed for node in result.nodes),
                    scanned_bytes=_bytes_of_nodes(world, [node.node for node in result.nodes]),
                    equal_rows=same.equal,
                    other_rows=same.differing,
                    absent_rows=same.absent,
                )
            )
        spent = {name: measure.cpu_seconds(federation.process(name).pid) for name in names}
    oracle.close()
    return rows, spent


def _bytes_of_nodes(world: Path, nodes: list[str]) -> int:
    return sum(p.stat().st_size for node in nodes for p in (world / node).glob("*.parquet"))


def report(rows: list[Row], spent: dict[int, dict[str, float]]) -> str:
    """Return the report in Markdown."""
    header = ["persons", "question", "central ms", "federated ms", "ratio", "bytes crossed", "bytes at the nodes asked"]
    header += ["rows equal", "rows other (a part withheld)", "rows absent (withheld)"]
    body = [
        [
            *(row.persons, row.question, row.central_ms, row.federated_ms, row.ratio),
            *(row.crossed_bytes, row.scanned_bytes, row.equal_rows, row.other_rows, row.absent_rows),
        ]
        for row in rows
    ]
    table = measure.markdown_table(header, body)
    cpu = measure.markdown_table(
        ["persons", "process", "CPU seconds"],
        [[size, name, seconds] for size, by_name in spent.items() for name, seconds in by_name.items()],
    )
    return (
        "# Federated against central\n\nOne DuckDB over all files against a coordinator and four nodes as separate "
        f"processes with mutual TLS, all on one machine ({measure.machine()}), asked in turn; medians. Both sides "
        "share the cores, so the nodes gain nothing from being several. A question is asked several times, so that "
        "both sides have their caches warm: the files in memory, the coordinator's plan and the nodes' decision "
        f"remembered.\n\n{table}\n## CPU seconds by process, over the whole run\n\n{cpu}"
    )


def plot(rows: list[Row], path: Path) -> None:
    """Draw time ratio and bytes, one panel each."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), constrained_layout=True)
    questions = list(dict.fromkeys(row.question for row in rows))
    sizes = sorted({row.persons for row in rows})
    height = 0.8 / len(sizes)
    for index, size in enumerate(sizes):
        chosen = {row.question: row for row in rows if row.persons == size}
        places = [i + index * height for i in range(len(questions))]
        left.barh(places, [chosen[q].ratio for q in questions], height, label=f"{size:,} persons")
        shares = [chosen[q].crossed_bytes / max(1, chosen[q].scanned_bytes) for q in questions]
        right.barh(places, shares, height, label=f"{size:,} persons")
    for axis, title in ((left, "time, federated / central"), (right, "bytes crossed / bytes that stayed")):
        axis.set_yticks([i + 0.4 - height / 2 for i in range(len(questions))], [q[:42] for q in questions], fontsize=8)
        axis.invert_yaxis()
        axis.set_title(title)
        axis.legend()
    left.axvline(1.0, color="black", linewidth=0.8)
    right.set_xscale("log")
    right.set_yticklabels([])
    figure.savefig(path, dpi=110)


def main(directory: Path, sizes: tuple[int, ...], repeats: int) -> None:
    """Measure every size and write table and plot."""
    rows: list[Row] = []
    spent: dict[int, dict[str, float]] = {}
    for size in sizes:
        more, spent[size] = run(directory, size, repeats)
        rows += more
    measure.write_results("central", report(rows, spent), {"rows": [asdict(r) for r in rows], "cpu_seconds": spent})
    plot(rows, measure.RESULTS / "central.png")
