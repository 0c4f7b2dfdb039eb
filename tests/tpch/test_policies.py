"""Sites enumerated by brute force, the check of plans and the planner agree about TPC-H under six families of policies.

For every query and every site a plan is written by hand that ships everything there and runs the query. Whether policy
allows it is worked out by sets; the check of plans must say the same. What the planner plans, the check must accept;
where the planner refuses, no site may be allowed, unless the query does with persons what no border lets through.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import comparing
import duckdb
import plans_by_hand
import policy_families
import pyarrow as pa
import pytest
from planning import request
from plans_by_hand import SITES, Read
from policy_families import FAMILIES, World

from archipel import border, errors
from archipel.border.decision import BorderContext
from archipel.certificate import Rejected
from archipel.permit import Permit
from archipel.schema import Column, Table
from benchmarks import tpch_placements
from coordinator.catalog import Catalog
from coordinator.plan import Plan, StageKind
from coordinator.plan_check import certified, check_plan
from coordinator.planner import plan
from coordinator.shadow import Shadow

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(180)]

SCALE = 0.01
"""Enough rows for a wrong plan to give something else."""

VARIANTS = range(3)
"""Seeds of the variants that the check of plans is held against, of each family."""

PLANNED = 7
"""Queries of each variant that the planner is asked, taken by the variant's seed: planning takes most of the time."""

OF_PERSONS = frozenset(
    {
        "person-comparison",
        "person-expression",
        "peer-rows-person",
        "set-operation-persons",
        "subquery-across-persons",
        "value-across-persons",
    }
)
"""Rules of the border about what a query does with persons, whatever the policies: no plan answers it."""


@pytest.fixture(scope="module")
def reads(tpch_queries: Mapping[str, str]) -> Mapping[str, Read]:
    return {name: plans_by_hand.read(sql) for name, sql in tpch_queries.items()}


@pytest.fixture(scope="module")
def small(pytestconfig: pytest.Config) -> Iterator[duckdb.DuckDBPyConnection]:
    """One DuckDB over few rows of all tables."""
    if tpch_placements.generator() is None:
        pytest.skip("tpchgen-cli, which makes the tables, is not installed")
    cache = pytestconfig.cache
    assert cache is not None
    with tpch_placements.oracle(tpch_placements.generate(cache.mkdir("tpch") / f"scale-{SCALE}", SCALE)) as database:
        yield database


@pytest.fixture(scope="module")
def shadow() -> Iterator[Shadow]:
    """Describes statements; the tables of all variants have the same columns."""
    made = Shadow(policy_families.catalog_of(policy_families.world("whole tables", 0)))
    yield made
    made.close()


def rejection(made: Plan, catalog: Catalog, permit: Permit) -> str:
    """Return why the check rejects a plan once it has truthful certificates; empty if it accepts it."""
    try:
        given = certified(made, catalog, permit)
        forms = [replace(e, form=e.certificate.form) if e.certificate else e for e in given.exchanges]
        check_plan(replace(given, exchanges=tuple(forms)), catalog, permit)
    except Rejected as why:
        return str(why)
    return ""


def border_rule(made: Plan, catalog: Catalog, permit: Permit) -> str:
    """Return the rule by which a border refuses a statement of a plan written by hand; empty if all may run."""
    obliged: dict[str, Table] = {}
    for stage in (s for s in made.stages if s.kind is StageKind.NODE):
        (site,) = stage.sites
        tables = {name: entry.shards[site] for name, entry in catalog.tables.items() if site in entry.shards}
        exchange = next(e for e in made.exchanges if e.source == stage.stage_id)
        (destination,) = made.stage(exchange.target).sites
        received = {name: obliged[name] for name in stage.inputs}
        try:
            release = border.check(stage.sql, BorderContext(site, tables, {}, permit, received, destination))
        except errors.ArchipelError as refused:
            return refused.rule or refused.code
        if release.obliges is not None:
            columns = zip(release.obliges.columns, stage.columns, strict=True)
            typed = tuple(Column(ours.name, ours.type or sent.type) for ours, sent in columns)
            obliged[exchange.exchange_id] = replace(release.obliges, name=exchange.exchange_id, columns=typed)
    return ""


def answer(made: Plan, database: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    """Run the stages of a plan one after the other in one database."""
    cursor = database.cursor()
    for stage in made.stages:
        if stage.stage_id == made.result_stage:
            return cursor.execute(stage.sql).fetchall()
        rows: pa.Table = cursor.execute(stage.sql).to_arrow_table()
        for exchange in made.exchanges:
            if exchange.source == stage.stage_id:
                cursor.register(exchange.exchange_id, rows)
    raise AssertionError("the plan has no result")


@pytest.mark.parametrize("query", tpch_placements.QUERIES)
def test_a_plan_written_by_hand_answers_the_query(
    query: str, tpch_queries: Mapping[str, str], reads: Mapping[str, Read], small: duckdb.DuckDBPyConnection
) -> None:
    sites = ("l1", "l4", SITES[-1])
    answers = [answer(plans_by_hand.plan_at(reads[query], site, {}), small) for site in sites]
    expected = small.execute(tpch_queries[query]).fetchall()
    plain = [[tuple(_plain(v) for v in row) for row in rows] for rows in (expected, *answers)]
    for site, found in zip(sites, plain[1:], strict=True):
        assert len(found) == len(plain[0]), site
        assert comparing.missing_from(found, plain[0]) == [], site


def _plain(value: object) -> object:
    """Return whole numbers as such: what Arrow carries of wide integers are decimals."""
    return int(value) if isinstance(value, int) or str(value).isdigit() else value  # type: ignore[call-overload]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_check_of_plans_says_of_every_site_what_the_sets_say(family: str, tpch_queries: Mapping[str, str]) -> None:
    disagreed, verdicts = [], Counter[bool]()
    for seed in VARIANTS:
        world = policy_families.world(family, seed)
        catalog = policy_families.catalog_of(world)
        permit = policy_families.permit_of(world, catalog)
        for name, sql in tpch_queries.items():
            query = policy_families.asked(world, name, sql)
            for site in SITES:
                allowed = policy_families.allows(world, query, site)
                why = rejection(plans_by_hand.plan_at(query, site, world.persons), catalog, permit)
                verdicts[allowed] += 1
                if allowed is bool(why):
                    disagreed.append((seed, name, site, allowed, why))
    assert disagreed == []
    assert sum(verdicts.values()) == len(VARIANTS) * len(tpch_queries) * len(SITES)
    assert min(verdicts[True], verdicts[False]) > 40


@pytest.mark.parametrize("seed", VARIANTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_planner_finds_a_plan_where_a_site_is_allowed_and_the_check_accepts_what_it_finds(
    family: str, seed: int, tpch_queries: Mapping[str, str], shadow: Shadow
) -> None:
    world = policy_families.world(family, seed)
    catalog = policy_families.catalog_of(world)
    permit = policy_families.permit_of(world, catalog)
    chosen = random.Random(world.name).sample(sorted(tpch_queries), PLANNED)
    wrong = {}
    for name in chosen:
        query = policy_families.asked(world, name, tpch_queries[name])
        try:
            made = plan(request(query.sql), catalog.only(world.nodes), permit, shadow.describe)
        except errors.ArchipelError as refused:
            why = _answerable(world, query, catalog, permit)
            if why:
                wrong[name] = f"{refused.code} {refused.rule}, though {why}"
            continue
        check_plan(made, catalog, permit)
    assert wrong == {}


@pytest.mark.parametrize("seed", VARIANTS)
def test_whoever_leaves_a_condition_out_is_told_the_words_to_add(
    seed: int, tpch_queries: Mapping[str, str], shadow: Shadow
) -> None:
    world = policy_families.world("conditions", seed)
    catalog = policy_families.catalog_of(world)
    permit = policy_families.permit_of(world, catalog)
    asked = {name: policy_families.asked(world, name, sql) for name, sql in tpch_queries.items()}
    conditions = [c for rule in world.rules.values() for c in rule.conditions]
    told = 0
    for query in asked.values():
        if all(scan.said.issuperset(world.rules[scan.table].conditions) for scan in query.scans):
            continue
        with pytest.raises(errors.ArchipelError) as refused:
            plan(request(query.sql), catalog, permit, shadow.describe)
        assert refused.value.rule == "rows-where"
        assert any(condition in (refused.value.info.hint or "") for condition in conditions)
        told += 1
    assert told > 0


def _answerable(world: World, query: Read, catalog: Catalog, permit: Permit) -> str:
    """Return a site at which the query may be run, all borders agreeing; empty if there is none."""
    for site in SITES:
        if policy_families.allows(world, query, site):
            rule = border_rule(plans_by_hand.plan_at(query, site, world.persons), catalog, permit)
            if rule not in OF_PERSONS:
                return f"it may run at {site} ({rule or 'no border refuses'})"
    return ""
