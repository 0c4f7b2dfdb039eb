"""What a node says about itself and its tables, checked. A node is trusted with its own data and with nothing else.

Names and types that it registers end up in SQL, in listings and in error texts: what is too much, too long or malformed
is refused table by table, with the reason, and the rest of the node stays usable.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from archipel import errors, ranges, wire
from archipel.schema import NODE_COLUMN, Distribution, Table
from archipel.v1 import common_pb2, gateway_pb2
from coordinator.catalog import Means
from coordinator.plan import SHARD_COLUMN

MAX_TABLES = 2_000
MAX_COLUMNS = 2_000
MAX_NAME_CHARS = 63
MAX_COLUMN_NAME_CHARS = 128
MAX_TYPE_CHARS = 1_000
MAX_DESCRIPTION_CHARS = 2_000
MAX_SHORT_CHARS = 128
MAX_REFUSALS_TOLD = 50

_TABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_TYPE = re.compile(r"""[A-Za-z0-9_ ,.()\[\]"']{1,1000}""")


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """What of a node's engine can change an answer."""

    engine: str
    version: str
    collation: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Registration:
    """A node's word about itself, after it was checked. ``hello`` is the message as it was sent."""

    node: str
    software_version: str
    profile: EngineProfile
    means: Means
    tables: tuple[Table, ...]
    hello: bytes
    withdrawn: tuple[Table, ...] = ()
    """Tables that it holds and that cannot be asked now; one without columns is known by its name alone."""

    def without(self, names: Iterable[str]) -> Registration:
        """Return the same with the tables of those names withdrawn, in what is remembered of it too."""
        dropped = frozenset(names)
        kept = tuple(table for table in self.tables if table.name not in dropped)
        named = (Table(table.name, (), table.distribution) for table in self.tables if table.name in dropped)
        return self._with(kept, (*self.withdrawn, *named))

    def after(self, earlier: Registration | None) -> Registration:
        """Return the same, with what the node told earlier of tables of which it now tells the name alone."""
        if earlier is None or all(table.columns for table in self.withdrawn):
            return self
        known = {table.name.lower(): table for table in (*earlier.withdrawn, *earlier.tables)}
        filled = (table if table.columns else known.get(table.name.lower(), table) for table in self.withdrawn)
        return self._with(self.tables, tuple(filled))

    def _with(self, tables: tuple[Table, ...], withdrawn: tuple[Table, ...]) -> Registration:
        hello = gateway_pb2.Hello.FromString(self.hello)
        del hello.tables[:], hello.withdrawn_tables[:]
        hello.tables.extend(wire.table_to_wire(table) for table in tables)
        hello.withdrawn_tables.extend(wire.table_to_wire(table) for table in withdrawn)
        return replace(self, tables=tables, withdrawn=withdrawn, hello=hello.SerializeToString())


def read_hello(hello: gateway_pb2.Hello, node: str) -> tuple[Registration, tuple[errors.ErrorInfo, ...]]:
    """Return what the node called ``node`` registers, and the tables that are not taken, with the reasons.

    Raises:
        ArchipelError: IDENTITY when it calls itself otherwise.
    """
    if hello.node != node:
        raise errors.error(errors.IDENTITY, "The node calls itself by another name than its certificate.")
    tables: list[Table] = []
    refused: list[errors.ErrorInfo] = []
    withdrawn = [_withdrawn(message) for message in hello.withdrawn_tables[:MAX_TABLES]]
    seen: set[str] = set()
    for message in hello.tables[:MAX_TABLES]:
        reason = _refusal(message) or ("it is registered twice" if message.name.lower() in seen else "")
        if not reason:
            try:
                table = wire.table_from_wire(message)
                tables.append(replace(table, ranges=ranges.sound(table)))
                seen.add(message.name.lower())
                continue
            except errors.ArchipelError as problem:
                reason = problem.info.message
        refused.append(refusal(message.name, reason))
        withdrawn.append(_named(message))  # it is there all the same: what is asked of it must not pass for whole
    if len(hello.tables) > MAX_TABLES:
        refused.append(refusal("", f"more than {MAX_TABLES} tables are registered; the rest is left out"))
    registration = Registration(
        node=node,
        software_version=_short(hello.software_version),
        profile=EngineProfile(
            _short(hello.engine), _short(hello.engine_version), _short(hello.collation), _short(hello.time_zone)
        ),
        means=Means(hello.seals, hello.linkage_epoch, hello.intersects),
        tables=tuple(tables),
        hello=hello.SerializeToString(),
        withdrawn=_each_once(withdrawn, besides=seen),
    )
    return registration, tuple(refused[:MAX_REFUSALS_TOLD])


def refusal(table: str, reason: str) -> errors.ErrorInfo:
    """Return why a table is not taken into the catalogue."""
    name = f"Table '{table}'" if _TABLE_NAME.fullmatch(table) else "A table"
    return errors.ErrorInfo(errors.BAD_REQUEST, f"{name} is not taken: {reason}.")


def _withdrawn(message: common_pb2.Table) -> Table | None:
    """Return a table that is not offered; by its name alone when there is no more or it is not in order."""
    if not _refusal(message):
        with contextlib.suppress(errors.ArchipelError):
            return wire.table_from_wire(message)
    return _named(message)


def _named(message: common_pb2.Table) -> Table | None:
    """Return a table of which nothing is known but the name; None when that is no name."""
    replicated = message.distribution == common_pb2.DISTRIBUTION_REPLICATED
    distribution = Distribution.REPLICATED if replicated else Distribution.SHARDED
    return Table(message.name, (), distribution) if _TABLE_NAME.fullmatch(message.name) else None


def _each_once(tables: Iterable[Table | None], *, besides: Iterable[str]) -> tuple[Table, ...]:
    found: dict[str, Table] = {}
    for table in tables:
        if table is not None and table.name.lower() not in besides:
            found.setdefault(table.name.lower(), table)
    return tuple(found.values())


def _short(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:MAX_SHORT_CHARS]


def _refusal(table: common_pb2.Table) -> str:
    """Return why the message is no table that can be taken; empty when it is one."""
    columns = [c.name.lower() for c in table.columns]
    if not _TABLE_NAME.fullmatch(table.name):
        return f"its name is not made of at most {MAX_NAME_CHARS} letters, digits and '_'"
    if not columns:
        return "it has no column"
    if len(columns) > MAX_COLUMNS:
        return f"it has more than {MAX_COLUMNS} columns"
    if len(set(columns)) < len(columns):
        return "two of its columns have the same name"
    if {NODE_COLUMN, SHARD_COLUMN} & set(columns):
        return f"'{NODE_COLUMN}' and '{SHARD_COLUMN}' are no names for columns"
    for column in table.columns:
        if not 1 <= len(column.name) <= MAX_COLUMN_NAME_CHARS or not column.name.isprintable():
            return f"a column's name is empty, unprintable or longer than {MAX_COLUMN_NAME_CHARS} characters"
        if not _TYPE.fullmatch(column.type) or len(column.type) > MAX_TYPE_CHARS:
            return f"the type of column '{column.name}' is no name of a type"
    texts = [table.description, *(c.description for c in table.columns)]
    if any(len(text) > MAX_DESCRIPTION_CHARS for text in texts):
        return f"a description is longer than {MAX_DESCRIPTION_CHARS} characters"
    named = [table.person_domain, table.content_digest, *(k.name for k in table.site_keys)]
    if any(len(text) > MAX_SHORT_CHARS or not (text.isprintable() or not text) for text in named):
        return "a name of a key, a domain or a digest is too long"
    used = [*(c for k in table.site_keys for c in k.columns), *(r.column for r in table.policy.column_roles)]
    if table.person_column:
        used.append(table.person_column)
    if not {name.lower() for name in used} <= set(columns):
        return "its person column, site keys or policy name a column that it does not have"
    return ""
