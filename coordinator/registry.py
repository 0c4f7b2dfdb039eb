"""Which nodes are attached, and what all nodes hold, those that are away included.

Lives on the event loop's thread. Tells those who ask when a node is lost; stores what a node registered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from archipel import errors
from archipel.schema import Table
from archipel.v1 import gateway_pb2
from coordinator import catalog
from coordinator.catalog import Catalog, CatalogTable
from coordinator.registration import Registration, read_hello
from coordinator.store import Store, StoredRegistration

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Session:
    """One node's open ``Attach`` stream: what is to be sent on it, and what the node reported last."""

    registration: Registration
    outbox: asyncio.Queue[gateway_pb2.AttachResponse] = field(default_factory=asyncio.Queue)
    draining: bool = False
    running_tasks: int = 0
    clock_offset_ms: int = 0
    """The node's clock minus this one's."""
    replaced: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def node(self) -> str:
        """The node's name."""
        return self.registration.node

    def send(self, message: gateway_pb2.AttachResponse) -> None:
        """Put a message on the stream."""
        self.outbox.put_nowait(message)


class Registry:
    """All registrations and all open sessions."""

    def __init__(self, store: Store, nodes: Iterable[str], now: Callable[[], float]) -> None:
        """Take up what the nodes of the federation, ``nodes``, registered in earlier lives."""
        self._store = store
        self._now = now
        self._sessions: dict[str, Session] = {}
        self._registrations: dict[str, Registration] = {}
        self._last_seen_ms: dict[str, int] = {}
        self._shards: dict[str, dict[str, Table]] = {}
        """By lower-case table name: what each node registered."""
        self._withdrawn: dict[str, dict[str, Table]] = {}
        """The same of what nodes hold and do not offer now."""
        self._tables: dict[str, CatalogTable] | None = None
        """The catalogue's tables; built when they are next needed."""
        self.version = 0
        """Changes whenever a registration does."""
        self.on_lost: Callable[[str], None] = lambda node: None
        self._take_up(frozenset(nodes))

    @property
    def catalog(self) -> Catalog:
        """All tables that nodes ever registered."""
        if self._tables is None:
            self._tables = catalog.build_tables(self._shards, self._withdrawn)
        return Catalog(self._tables, self.attached, {node: r.means for node, r in self._registrations.items()})

    @property
    def attached(self) -> frozenset[str]:
        """The nodes that take tasks now."""
        return frozenset(node for node, session in self._sessions.items() if not session.draining)

    @property
    def known(self) -> frozenset[str]:
        """The nodes that have been attached at least once."""
        return frozenset(self._registrations)

    @property
    def withdrawn(self) -> dict[str, frozenset[str]]:
        """By node, the lower-case names of the tables that it holds and does not offer now."""
        by_node: dict[str, set[str]] = {}
        for name, shards in self._withdrawn.items():
            for node in shards:
                by_node.setdefault(node, set()).add(name)
        return {node: frozenset(names) for node, names in by_node.items()}

    def session(self, node: str) -> Session | None:
        """Return the session of a node that takes tasks now."""
        found = self._sessions.get(node)
        return None if found is None or found.draining else found

    def open_session(self, node: str) -> Session | None:
        """Return the session of a node, also of one that only finishes what runs."""
        return self._sessions.get(node)

    def registration(self, node: str) -> Registration | None:
        """Return what a node registered last."""
        return self._registrations.get(node)

    def last_seen_ms(self, node: str) -> int:
        """Return when a node was last heard of; 0 for never."""
        return self._last_seen_ms.get(node, 0)

    def attach(self, session: Session) -> tuple[errors.ErrorInfo, ...]:
        """Take in a node, in the place of an earlier session of it; return conflicts of its tables with others'."""
        node = session.node
        earlier = self._sessions.pop(node, None)
        if earlier is not None:
            log.info("node '%s' attached anew: the earlier stream ends", node)
            earlier.replaced.set()
            self.on_lost(node)
        session.registration = session.registration.after(self._registrations.get(node))
        self._register(session.registration)
        self._sessions[node] = session
        self.seen(node)
        self._store.save_registration(StoredRegistration(node, session.registration.hello, self._last_seen_ms[node]))
        return self._conflicts(session.registration)

    def seen(self, node: str) -> None:
        """Note that a node was heard of now."""
        self._last_seen_ms[node] = int(self._now() * 1000)

    def detach(self, session: Session) -> None:
        """Forget a session that ended, unless another one has taken its place."""
        if self._sessions.get(session.node) is not session:
            return
        del self._sessions[session.node]
        self._store.touch_registration(session.node, self._last_seen_ms[session.node])
        self.on_lost(session.node)

    def close_all(self) -> None:
        """End all sessions: the coordinator ends."""
        for session in list(self._sessions.values()):
            session.replaced.set()

    def _take_up(self, nodes: frozenset[str]) -> None:
        for stored in self._store.registrations():
            if stored.node not in nodes:
                continue  # the manifest names it no more
            try:
                hello = gateway_pb2.Hello.FromString(stored.hello)
                registration, _ = read_hello(hello, stored.node)
            except (errors.ArchipelError, ValueError):
                log.warning("what node '%s' registered earlier is not readable any more", stored.node)
                continue
            self._register(registration)
            self._last_seen_ms[stored.node] = stored.last_seen_ms

    def _register(self, registration: Registration) -> None:
        node = registration.node
        before = self._registrations.get(node)
        self._registrations[node] = registration
        if before is not None and _planned_by(before) == _planned_by(registration):
            return
        _renew(self._shards, node, before.tables if before is not None else (), registration.tables)
        _renew(self._withdrawn, node, before.withdrawn if before is not None else (), registration.withdrawn)
        self._tables = None
        self.version += 1

    def _conflicts(self, registration: Registration) -> tuple[errors.ErrorInfo, ...]:
        """Return how tables differ from one other node's: from one only, so that a hundred nodes can come at once."""
        found = []
        for table in registration.tables:
            shards = self._shards[table.name.lower()]
            other = min((node for node in shards if node != registration.node), default=None)
            if other is not None:
                pair = catalog.build_table({other: shards[other], registration.node: table})
                found += [pair.conflict] if pair.conflict is not None else []
        return tuple(found)


def _renew(held: dict[str, dict[str, Table]], node: str, before: Iterable[Table], now: Iterable[Table]) -> None:
    for table in before:
        shards = held[table.name.lower()]
        del shards[node]
        if not shards:
            del held[table.name.lower()]
    for table in now:
        held.setdefault(table.name.lower(), {})[node] = table


def _planned_by(registration: Registration) -> tuple[object, ...]:
    """Return what plans depend on."""
    return registration.tables, registration.withdrawn, registration.profile, registration.means
