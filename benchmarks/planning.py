"""How long planning takes: a few questions over federations of growing size, without the set-up of the shadow.

Run by ``python -m benchmarks.planning``; the figures are printed. Nothing runs at a node: a catalogue is enough.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Mapping, Sequence

from archipel.permit import Permit, Researcher, TableGrant
from archipel.request import Request
from archipel.schema import Column, Distribution, Form, Role, SiteKey, Table, TablePolicy
from coordinator.catalog import build
from coordinator.planner import plan
from coordinator.shadow import Shadow

NODES = (3, 10, 100, 200)
REPEATS = 25

STAYS = Table(
    "stays",
    tuple(
        Column(*c.split(" ", 1))
        for c in ("patient BIGINT", "finess VARCHAR", "region VARCHAR", "year INTEGER", "days INTEGER", "cost DOUBLE")
    ),
    person_column="patient",
    person_domain="patient",
    site_keys=(SiteKey("hospital", ("finess",)),),
    policy=TablePolicy(
        coordinator_form=Form.AGGREGATE,
        roles=tuple((c, Role.GROUP) for c in ("finess", "region", "year", "days", "cost")),
    ),
)
HOSPITALS = Table(
    "hospitals",
    (Column("finess", "VARCHAR"), Column("name", "VARCHAR")),
    distribution=Distribution.REPLICATED,
    policy=TablePolicy(protected=False, coordinator_form=Form.ROWS),
)

QUESTIONS = {
    "count by region": "SELECT region, count(*) AS n FROM stays GROUP BY region",
    "mean and deviation, joined": "SELECT h.name, avg(s.days) AS m, stddev(s.days) AS d FROM stays s "
    "JOIN hospitals h ON h.finess = s.finess GROUP BY h.name ORDER BY m DESC LIMIT 10",
    "regression and a window": "SELECT region, regr_slope(cost, days) AS b, count(*) / sum(count(*)) OVER () AS share "
    "FROM stays GROUP BY region",
    "two parts and a subquery": "WITH a AS (SELECT region, count(*) AS n FROM stays WHERE days > "
    "(SELECT avg(days) FROM stays) GROUP BY region), b AS (SELECT region, sum(cost) AS c FROM stays GROUP BY region) "
    "SELECT a.region, n, c FROM a JOIN b USING (region) ORDER BY c",
}


def main() -> None:
    """Plan every question over every size and print medians and 95th percentiles in milliseconds."""
    print(f"{'question':32}" + "".join(f"{n:>11} nodes" for n in NODES))
    _taken_ms(next(iter(QUESTIONS.values())), NODES[0])
    gc.collect()
    gc.freeze()  # as the coordinator does once it has started
    for name, sql in QUESTIONS.items():
        taken = [statistics.quantiles(_taken_ms(sql, nodes), n=20) for nodes in NODES]
        print(f"{name:32}" + "".join(f"{cuts[9]:8.1f} {cuts[18]:5.1f} ms" for cuts in taken))


def _taken_ms(sql: str, nodes: int) -> list[float]:
    registered: Mapping[str, Sequence[Table]] = {f"n{i:03}": (STAYS, HOSPITALS) for i in range(nodes)}
    catalog = build(registered, registered)
    permit = Permit(
        permit_id="p",
        federation="f",
        project="p",
        purpose="p",
        researchers=(Researcher(name="a", key="k"),),
        tables=tuple(TableGrant(table=t, columns=("*",)) for t in catalog.tables),
        nodes=tuple(registered),
        not_before=0,
        expires=1,
    )
    request = Request(request_id="benchmark", permit_id="p", sql=sql, issued=0)
    shadow = Shadow(catalog)
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        plan(request, catalog, permit, shadow.describe)
        taken.append((time.perf_counter() - started) * 1000)
    shadow.close()
    return taken


if __name__ == "__main__":
    main()
