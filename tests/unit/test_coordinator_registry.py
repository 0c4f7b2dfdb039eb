"""What nodes say they have for exchanges with each other: in the catalogue, and after a restart of the coordinator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from coordinator_harness import hello_of

from coordinator.catalog import Means
from coordinator.registration import read_hello
from coordinator.registry import Registry, Session
from coordinator.store import Store

NODES = ("alpha", "beta")
NOTHING = Means(seals=False, linkage_epoch=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'coordinator.db'}")) as made:
        yield made


def attach(registry: Registry, node: str, **said: int) -> Session:
    """Attach a node that says so of its keys, and return its session."""
    registration, _ = read_hello(hello_of(node, **said), node)
    session = Session(registration)
    registry.attach(session)
    return session


def test_the_catalogue_knows_which_nodes_seal_and_the_epochs_of_their_secrets(store: Store) -> None:
    registry = Registry(store, NODES, time.time)
    attach(registry, "alpha", seals=True, linkage_epoch=3)
    attach(registry, "beta")
    catalog = registry.catalog
    assert catalog.means_of("alpha") == Means(seals=True, linkage_epoch=3)
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
    assert after.catalog.means_of("alpha") == Means(seals=True, linkage_epoch=3)
    assert after.catalog.means_of("beta") == NOTHING


def test_plans_are_made_anew_when_a_node_has_got_a_key_and_not_when_it_merely_comes_back(store: Store) -> None:
    registry = Registry(store, NODES, time.time)
    registry.detach(attach(registry, "alpha", seals=True))
    version = registry.version
    registry.detach(attach(registry, "alpha", seals=True))
    assert registry.version == version
    attach(registry, "alpha", seals=True, linkage_epoch=1)
    assert registry.version > version
    assert registry.catalog.means_of("alpha") == Means(seals=True, linkage_epoch=1)


def test_what_stays_after_tables_were_refused_still_says_what_the_node_has() -> None:
    registration, _ = read_hello(hello_of("alpha", seals=True, linkage_epoch=2), "alpha")
    rest = registration.without(["visits"])
    assert rest.tables == ()
    assert read_hello(type(hello_of("alpha")).FromString(rest.hello), "alpha")[0].means == rest.means == Means(True, 2)
