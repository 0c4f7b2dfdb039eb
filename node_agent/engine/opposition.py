"""Persons who object to research: their lists, and the views of tables without their rows.

A list is read when the engine opens, into a table of its own that no statement can name. A protected table whose
persons a list is about is seen without them by every statement, since its view leaves them out; how many these are is
told to nobody. A list that cannot be read whole, or whose identifiers cannot be compared with the table's, keeps the
table away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb
from sqlglot import exp

from archipel import errors
from archipel.policy import Policy
from archipel.policy_node import OppositionRules
from node_agent.config import NodeConfig, SourceSection, TableSection
from node_agent.engine import sources
from node_agent.engine.sources import FileState

SCHEMA = "archipel_opposition"
_TABLE, _LIST, _ID = "t", "o", "id"
_WHOLE_NUMBERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"} | {"UTINYINT", "USMALLINT"}) | {
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}


def domain_of(table: TableSection) -> str | None:
    """Return whose identifiers a table's person column holds."""
    return table.person_domain or (table.person_column or "").lower() or None


def check(config: NodeConfig, policy: Policy) -> None:
    """Make sure that each list has a source, and tables that it is about: a typing mistake must not open anything.

    Raises:
        ArchipelError: CONFIG_INVALID.
    """
    kinds = {source.name: source.kind for source in config.sources}
    domains = sorted({domain for table in config.tables if (domain := domain_of(table))})
    for rules in policy.node.opposition:
        where = f"{config.policy}: the opposition list of '{rules.person_domain}'"
        kind = kinds.get(rules.source)
        if kind is None:
            text = f"{where} names the source '{rules.source}'; there are: {', '.join(kinds)}."
        elif (kind == "files") != (rules.file is not None):
            text = f"{where} needs '{'file' if kind == 'files' else 'table'}': the source '{rules.source}' is {kind}."
        elif rules.person_domain not in domains:
            text = f"{where}: no table has this person_domain; there are: {', '.join(domains) or 'none'}."
        else:
            continue
        raise errors.error(errors.CONFIG_INVALID, text)


@dataclass(slots=True)
class _Loaded:
    """A list: the table that holds it, or why it cannot be used."""

    rules: OppositionRules
    files: tuple[FileState, ...] = ()
    name: str = ""
    type: str = ""
    problem: str = ""
    as_types: dict[str, str] = field(default_factory=dict)


class Opposition:
    """The lists of one engine."""

    def __init__(self, rules: Sequence[OppositionRules], places: dict[str, SourceSection]) -> None:
        self._places = places
        self._lists = [_Loaded(each) for each in rules]

    def observed(self) -> tuple[tuple[FileState | None, ...], ...]:
        """Return what the lists' files are like now."""
        return tuple(sources.observed(_as_table(each.rules), self._places[each.rules.source]) for each in self._lists)

    def load(self, database: duckdb.DuckDBPyConnection, attached: dict[str, str]) -> None:
        """Read all lists; what is wrong with one is told by ``without``."""
        if not self._lists:
            return
        database.execute(exp.Create(this=exp.to_identifier(SCHEMA), kind="SCHEMA").sql("duckdb"))
        for number, each in enumerate(self._lists):
            try:
                self._load(database, each, f"list_{number}", attached)
            except errors.ArchipelError as problem:
                each.problem = problem.info.message
            except (OSError, duckdb.Error) as cause:
                each.problem = type(cause).__name__

    def without(
        self, database: duckdb.DuckDBPyConnection, relation: duckdb.DuckDBPyRelation, table: TableSection
    ) -> tuple[duckdb.DuckDBPyRelation, tuple[FileState, ...], tuple[str, ...]]:
        """Return a protected table's rows without those of persons who object, the lists' files, and warnings.

        Raises:
            ArchipelError: NODE_SOURCE or CONFIG_INVALID: the table must not be offered.
        """
        files: list[FileState] = []
        warnings: list[str] = []
        person = next((c for c in relation.columns if c.lower() == (table.person_column or "").lower()), "")
        for each in self._lists:
            if each.rules.person_domain != domain_of(table):
                continue
            if each.problem:
                raise errors.error(errors.NODE_SOURCE, f"the opposition list cannot be read: {each.problem}")
            kind = str(relation.types[relation.columns.index(person)])
            name = self._as_type(database, each, kind)
            rows = relation.set_alias(_TABLE)
            # Trimming every person of every scan took four times the join: only where somebody's identifier needs it.
            blanks = kind == "VARCHAR" and rows.filter(_untrimmed(person).sql("duckdb")).limit(1).fetchone() is not None
            objects = exp.Exists(this=_matching(name, person, trimmed=blanks))
            if rows.filter(objects.sql("duckdb")).limit(1).fetchone() is None:
                warnings.append("no person of the opposition list is in it: look whether identifiers are spelled alike")
            relation = rows.filter(exp.not_(objects).sql("duckdb"))
            files += each.files
        return relation, tuple(files), tuple(warnings)

    def _load(self, database: duckdb.DuckDBPyConnection, each: _Loaded, name: str, attached: dict[str, str]) -> None:
        relation, each.files = sources.open_table(
            database, _as_table(each.rules), self._places[each.rules.source], attached
        )
        column = next((c for c in relation.columns if c.lower() == each.rules.column.lower()), None)
        if column is None:
            raise errors.error(errors.NODE_SOURCE, f"it has no column '{each.rules.column}'")
        each.type = str(relation.types[relation.columns.index(column)])
        value: exp.Expr = _quoted(column)
        if each.type == "VARCHAR":  # an empty line of a file objects to nothing
            value = exp.func("NULLIF", exp.func("TRIM", value), exp.Literal.string(""))
        ids = relation.project(exp.alias_(value, _ID, quoted=True).sql("duckdb"))
        ids.filter(exp.not_(_quoted(_ID).is_(exp.null())).sql("duckdb")).distinct().create(f"{SCHEMA}.{name}")
        each.name = name

    def _as_type(self, database: duckdb.DuckDBPyConnection, each: _Loaded, kind: str) -> str:
        """Return the name of the table that holds a list in the type of a person column."""
        if each.type == kind or {each.type, kind} <= _WHOLE_NUMBERS:
            return each.name
        if each.type != "VARCHAR":
            # A number has lost the zeros that an identifier may begin with: comparing would quietly miss persons.
            raise errors.error(
                errors.CONFIG_INVALID, f"the opposition list holds {each.type}, the person column {kind}: make it text"
            )
        if kind not in each.as_types:
            name = f"{each.name}_{len(each.as_types)}"
            listed = database.table(f"{SCHEMA}.{each.name}")
            value = exp.TryCast(this=_quoted(_ID), to=exp.DataType.build(kind, dialect="duckdb"))
            database_ids = listed.project(exp.alias_(value, _ID, quoted=True).sql("duckdb"))
            if database_ids.filter(_quoted(_ID).is_(exp.null()).sql("duckdb")).limit(1).fetchone() is not None:
                raise errors.error(
                    errors.NODE_SOURCE, f"the opposition list holds an entry that is no {kind}, as the person column is"
                )
            database_ids.create(f"{SCHEMA}.{name}")
            each.as_types[kind] = name
        return each.as_types[kind]


def _as_table(rules: OppositionRules) -> TableSection:
    """Return a list as a table of node.yaml, so that it is opened and watched as one."""
    return TableSection(name="opposition", source=rules.source, file=rules.file, table=rules.table)


def _untrimmed(person: str) -> exp.Expr:
    own = exp.column(person, _TABLE, quoted=True)
    return exp.NEQ(this=own, expression=exp.func("TRIM", own.copy()))


def _matching(name: str, person: str, *, trimmed: bool) -> exp.Select:
    listed = exp.column(_ID, _LIST, quoted=True)
    own: exp.Expr = exp.column(person, _TABLE, quoted=True)
    source = exp.alias_(exp.table_(name, db=SCHEMA, quoted=True), _LIST, table=True, quoted=True)
    return (
        exp.select(exp.Literal.number(1))
        .from_(source)
        .where(exp.EQ(this=listed, expression=exp.func("TRIM", own) if trimmed else own))
    )


def _quoted(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True))
