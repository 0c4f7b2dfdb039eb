"""Which nodes are attached, and what all nodes hold, those that are away included.

Lives on the event loop's thread. Tells those who ask when a node is lost; stores what a node registered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from archipel import errors
from archipel.v1 import gateway_pb2
from coordinator import catalog
from coordinator.catalog import Catalog
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
        self._catalog = catalog.build({}, ())
        self.version = 0
        """Changes whenever a registration does."""
        self.on_lost: Callable[[str], None] = lambda node: None
        self._take_up(frozenset(nodes))

    @property
    def catalog(self) -> Catalog:
        """All tables that nodes ever registered."""
        return Catalog(self._catalog.tables, self.attached)

    @property
    def attached(self) -> frozenset[str]:
        """The nodes that take tasks now."""
        return frozenset(node for node, session in self._sessions.items() if not session.draining)

    @property
    def known(self) -> frozenset[str]:
        """The nodes that have been attached at least once."""
        return frozenset(self._registrations)

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
        before = self._registrations.get(node)
        self._registrations[node] = session.registration
        if before is None or (before.tables, before.profile) != (
            session.registration.tables,
            session.registration.profile,
        ):
            self._rebuild()
        self._sessions[node] = session
        self.seen(node)
        self._store.save_registration(StoredRegistration(node, session.registration.hello, self._last_seen_ms[node]))
        conflicts = (self._catalog.find(table.name) for table in session.registration.tables)
        return tuple(entry.conflict for entry in conflicts if entry is not None and entry.conflict is not None)

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
                self._registrations[stored.node], _ = read_hello(hello, stored.node)
            except (errors.ArchipelError, ValueError):
                log.warning("what node '%s' registered earlier is not readable any more", stored.node)
                continue
            self._last_seen_ms[stored.node] = stored.last_seen_ms
        self._rebuild()

    def _rebuild(self) -> None:
        registered = {node: r.tables for node, r in self._registrations.items()}
        self._catalog = catalog.build(registered, ())
        self.version += 1
