"""What nodes say of themselves beside their tables: means of exchanges, tables not offered now; also over a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coordinator_harness import SQL, VISITS, hello_of

from archipel import wire
from archipel.schema import Column, Distribution, Table
from coordinator.catalog import Means
from coordinator.plan import COORDINATOR, Plan, Stage, StageKind
from coordinator.registration import read_hello
from coordinator.registry import Registry, Session
from coordinator.store import Store
from coordinator.withdrawn import lacking

NODES = ("alpha", "beta")
NOTHING = Means(seals=False, linkage_epoch=0, intersects=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'coordinator.db'}")) as made:
        yield made


def attach(registry: Registry, node: str, *tables: Table, **said: Any) -> Session:
    """Attach a node that says so, and return its session."""
    registration, _ = read_hello(hello_of(node, *tables, **said), node)
    session = Session(registration)
    registry.attach(session)
    return session


def test_the_catalogue_knows_which_nodes_seal_and_the_epochs_of_their_secrets(store: Store) -> None:
    registry = Registry(store, NODES, time.time)
    attach(registry, "alpha", seals=True, linkage_epoch=3)
    attach(registry, "beta")
    catalog = registry.catalog
    assert catalog.means_of("alpha") == Means(seals=True, linkage_epoch=3, intersects=False)
    assert catalog.means_of("beta") == NOTHING  # what an agent says that knows nothing of it
    assert catalog.only(["beta"]).means_of("beta") == NOTHING


def test_a_restart_of_the_coordinator_keeps_what_nodes_have(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'coordinator.db'}"
    with closing(Store(url)) as store:
        before = Registry(store, NODES, time.time)
        attach(before, "alpha", seals=True, linkage_epoch=3)
        attach(before, "beta")
    with closing(Store(url)) as store:
        after = Registry(store, NODES, time.time)
    assert after.attached == frozenset()
    assert after.catalog.means_of("alpha") == Means(seals=True, linkage_epoch=3, intersects=False)
    assert after.catalog.means_of("beta") == NOTHING


def test_plans_are_made_anew_when_a_node_has_got_a_key_and_not_when_it_merely_comes_back(store: Store) -> None:
    registry = Registry(store, NODES, time.time)
    registry.detach(attach(registry, "alpha", seals=True))
    version = registry.version
    registry.detach(attach(registry, "alpha", seals=True))
    assert registry.version == version
    attach(registry, "alpha", seals=True, linkage_epoch=1)
    assert registry.version > version
    assert registry.catalog.means_of("alpha") == Means(seals=True, linkage_epoch=1, intersects=False)


def test_what_stays_after_tables_were_refused_still_says_what_the_node_has() -> None:
    registration, _ = read_hello(hello_of("alpha", seals=True, linkage_epoch=2), "alpha")
    rest = registration.without(["visits"])
    assert rest.tables == ()
    assert (
        read_hello(type(hello_of("alpha")).FromString(rest.hello), "alpha")[0].means
        == rest.means
        == Means(True, 2, intersects=False)
    )


def not_offered(*tables: Table) -> dict[str, Any]:
    """Return what a node says that offers none of its tables."""
    return {"tables": [], "withdrawn_tables": [wire.table_to_wire(table) for table in tables]}


BY_NAME = Table("Visits", ())


@pytest.mark.parametrize("told", [VISITS, BY_NAME, replace(VISITS, columns=(Column("person", "VARCHAR"),))], ids=str)
def test_a_node_still_holds_a_table_that_it_does_not_offer(store: Store, told: Table) -> None:
    registry = Registry(store, NODES, time.time)
    attach(registry, "beta")
    version = registry.version
    attach(registry, "alpha", **not_offered(told))
    assert registry.version > version
    (entry,) = registry.catalog.tables.values()
    assert (entry.nodes, entry.table.columns, entry.conflict) == (NODES, VISITS.columns, None)
    assert set(entry.withdrawn) == {"alpha"}
    assert registry.withdrawn == {"alpha": {"visits"}}
    assert registry.catalog.only(["beta"]).tables["visits"].withdrawn == {}
    attach(registry, "alpha")
    (entry,) = registry.catalog.tables.values()
    assert (entry.nodes, entry.withdrawn, registry.withdrawn) == (NODES, {}, {})


def test_what_a_node_told_of_a_table_is_remembered_while_it_cannot_tell_it_also_over_restarts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'coordinator.db'}"
    for said in ({}, not_offered(BY_NAME), not_offered(BY_NAME)):
        with closing(Store(url)) as store:
            attach(Registry(store, NODES, time.time), "alpha", **said)
    with closing(Store(url)) as store:
        registry = Registry(store, NODES, time.time)
    (entry,) = registry.catalog.tables.values()
    assert entry.table.columns == VISITS.columns
    assert set(entry.withdrawn) == {"alpha"}


def test_a_copy_that_is_not_offered_is_not_missed_while_another_node_has_the_same_rows(store: Store) -> None:
    codes = Table("codes", (Column("code", "VARCHAR"),), Distribution.REPLICATED, content_digest="1")
    registry = Registry(store, NODES, time.time)
    attach(registry, "beta", codes)
    attach(registry, "alpha", **not_offered(replace(codes, content_digest="")))
    entry = registry.catalog.tables["codes"]
    assert (entry.nodes, set(entry.withdrawn), entry.conflict) == (("beta",), {"alpha"}, None)
    assert registry.catalog.only(["alpha"]).tables["codes"].nodes == ("alpha",)


def test_a_table_that_the_coordinator_cannot_take_is_not_forgotten_either(store: Store) -> None:
    registry = Registry(store, NODES, time.time)
    attach(registry, "beta")
    attach(registry, "alpha", replace(VISITS, columns=(*VISITS.columns, Column("x", "no type;"))))
    assert registry.withdrawn == {"alpha": {"visits"}}
    registration, _ = read_hello(hello_of("alpha"), "alpha")
    assert registration.without(["visits"]).withdrawn == (Table("visits", ()),)


def test_a_plan_lacks_the_tables_that_it_reads_at_nodes_that_do_not_offer_them() -> None:
    def stage(name: str, sql: str, *sites: str) -> Stage:
        kind = StageKind.FINISH if sites == (COORDINATOR,) else StageKind.NODE
        return Stage(name, kind, sites, sql, ())

    plan = Plan(
        SQL,
        (
            stage("n1", "SELECT g FROM (SELECT * FROM Visits) WHERE v IN (SELECT v FROM other)", "alpha", "beta"),
            stage("n2", "SELECT g FROM stays", "gamma"),
            stage("f1", "SELECT g FROM visits", COORDINATOR),
        ),
        (),
        "f1",
        (),
    )
    withdrawn = {node: frozenset({"visits", "stays"}) for node in ("beta", "gamma", "delta")}
    assert lacking(plan, withdrawn) == {"beta": ("visits",), "gamma": ("stays",)}
    assert lacking(plan, {"alpha": frozenset({"else"})}) == {}
