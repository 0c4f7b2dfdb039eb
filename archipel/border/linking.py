"""Tables read under project pseudonyms: which ones a statement reads so, and their scans with the person replaced.

What goes to another node, and what is computed with protected tables that came from one, never holds a person's own
identifier: each scan of a protected table becomes a derived table in which the person column is the pseudonym.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from archipel import linkage, schema
from archipel.border.decision import BorderContext

if TYPE_CHECKING:
    from archipel.border.analysis import Analysis

Person = Callable[[exp.Expr], exp.Expr]

_PERSON, _PSEUDONYM = "person", "pseudonym"


def domain_of(table: schema.Table) -> str:
    """Return whose identifiers the person column of a protected table holds."""
    return table.person_domain or (table.person_column or "").lower()


def project_domain(table: schema.Table, permit_id: str) -> str:
    """Return the domain of a table's persons when they stand under project pseudonyms."""
    return linkage.project_domain(domain_of(table), permit_id)


def linked_tables(tree: exp.Expr, context: BorderContext) -> dict[str, schema.Table]:
    """Return the node's protected tables that a statement reads under pseudonyms, by lower-case name.

    Towards a node these are all; towards the coordinator those whose persons are also in a received table that the
    statement names. Names of common table expressions hide none here: too many are returned rather than too few.
    """
    named = {node.name.lower() for node in tree.find_all(exp.Table) if isinstance(node.this, exp.Identifier)}
    mine = {name: table for name, table in context.tables.items() if name in named and table.policy.protected}
    if context.destination != schema.COORDINATOR:
        return mine
    domains = {
        table.person_domain for name, table in context.received.items() if name in named and table.policy.protected
    }
    permit_id = context.permit.permit_id
    return {name: table for name, table in mine.items() if project_domain(table, permit_id) in domains}


def under_pseudonyms(table: schema.Table, permit_id: str) -> schema.Table:
    """Return the table as a statement sees it that reads it under pseudonyms."""
    person = (table.person_column or "").lower()
    columns = tuple(
        replace(column, type=linkage.PERSON_TYPE) if column.name.lower() == person else column
        for column in table.columns
    )
    return replace(table, columns=columns, person_domain=project_domain(table, permit_id))


def as_linked(tree: exp.Expr, tables: Mapping[str, schema.Table]) -> exp.Expr:
    """Return a copy of ``tree`` in which the scans of ``tables`` (see ``linked_tables``) have the type they will have.

    For planners: the border check puts pseudonyms into the same places, but needs the holders' key for it. Here a
    person is only cast to the pseudonyms' type, so that an empty database can describe the statement. Never to be run.

    >>> stays = schema.Table("stays", (schema.Column("pid", "BIGINT"),), person_column="pid")
    >>> as_linked(exp.select("s.pid").from_("stays AS s"), {"stays": stays}).sql("duckdb").count("AS BLOB")
    1
    """
    copied = tree.copy()
    scans = {name: _scan(table, person_as=_typed, alias=table.name) for name, table in tables.items()}
    for node in list(copied.find_all(exp.Table)):
        if not _is_common(node):
            _replace(node, scans)
    return copied


def _typed(person: exp.Expr) -> exp.Expr:
    text = exp.cast(person.copy(), "VARCHAR", dialect="duckdb")
    return exp.cast(text, linkage.PERSON_TYPE, dialect="duckdb")


def _replace(node: exp.Table, scans: Mapping[str, exp.Select]) -> None:
    found = scans.get(node.name.lower()) if isinstance(node.this, exp.Identifier) else None
    if found is not None:
        alias = node.args.get("alias") or exp.TableAlias(this=node.this.copy())
        node.replace(exp.Subquery(this=found.copy(), alias=alias))


def _is_common(table: exp.Table) -> bool:
    """Whether a name means a common table expression that is in scope where it stands."""
    name = table.name.lower()
    inner: exp.Expr = table
    around = table.parent
    while around is not None:
        clause = around if isinstance(around, exp.With) else around.args.get("with_")
        for cte in clause.expressions if clause is not None and clause is not inner else ():
            if cte is inner:
                # A part does not see itself unless it is recursive, nor those after it.
                if clause is not None and clause.args.get("recursive") and cte.alias.lower() == name:
                    return True
                break
            if cte.alias.lower() == name:
                return True
        inner, around = around, around.parent
    return False


def _scan(table: schema.Table, *, person_as: Person, alias: str) -> exp.Select:
    """Return all columns of a table with something else for the person, the node pseudo-column included."""
    person = (table.person_column or "").lower()
    outputs = []
    for name in (*(column.name for column in table.columns), schema.NODE_COLUMN):
        column = exp.column(name, alias, quoted=True)
        outputs.append(exp.alias_(person_as(column) if name.lower() == person else column, name, quoted=True))
    return exp.Select(expressions=outputs, from_=exp.From(this=_table(table.name, alias)))


# For the border check itself


def seen_in(context: BorderContext, linked: Mapping[str, schema.Table]) -> BorderContext:
    """Return the context of the analysis: received tables stand among the node's, ``linked`` ones have pseudonyms."""
    tables = {
        **context.tables,
        **{name: under_pseudonyms(table, context.permit.permit_id) for name, table in linked.items()},
        **{name: replace(table, name=name) for name, table in context.received.items()},
    }
    return replace(context, tables=tables)


def with_scans(tree: exp.Expr, analysis: Analysis) -> bool:
    """Put pseudonyms into the scans of an analysed tree, and marks into those of received tables.

    Returns whether there was any with pseudonyms. After the analysis no common table expression has the name of a
    table: every scan by that name is the table's.
    """
    scans: dict[str, exp.Select] = {}
    maps: list[exp.CTE] = []
    for name, table in analysis.tables.items():
        if name in analysis.linked:
            of_persons = f"{analysis.prefix}pseudonyms_{len(maps)}"
            scans[name] = _pseudonymous(table, of_persons, analysis)
            maps.append(_pseudonyms(table, of_persons, analysis))
        elif name in analysis.context.received and table.policy.protected:
            scans[name] = _marked(table, analysis)
    for node in list(tree.find_all(exp.Table)):
        _replace(node, scans)
    if maps:
        clause = tree.args.get("with_")
        tree.set("with_", exp.With(expressions=maps + (clause.expressions if clause is not None else [])))
        tree.args["with_"].set("recursive", clause.args.get("recursive") if clause is not None else None)
    return bool(maps)


def _pseudonyms(table: schema.Table, name: str, analysis: Analysis) -> exp.CTE:
    """Return the part of WITH that has each person's pseudonym, computed once.

    One for every person and not for every row: joining a million rows of 100,000 persons took 0.4 s instead of 1.
    """
    scan, persons = (analysis.alias(f"{analysis.prefix}{word}") for word in ("scan", "people"))
    pads = exp.to_identifier(linkage.PADS_TABLE, quoted=True)
    person = exp.column(_PERSON, persons, quoted=True)
    every = exp.Select(
        distinct=exp.Distinct(),
        expressions=[exp.alias_(exp.column(_person_of(table), scan, quoted=True), _PERSON, quoted=True)],
        from_=exp.From(this=_table(table.name, scan)),
    )
    query = exp.Select(
        expressions=[
            exp.alias_(person, _PERSON, quoted=True),
            exp.alias_(linkage.pseudonym(person), _PSEUDONYM, quoted=True),
        ],
        from_=exp.From(this=exp.Subquery(this=every, alias=_alias(persons))),
        joins=[exp.Join(this=exp.Table(this=pads, alias=exp.TableAlias(this=pads.copy())), kind="CROSS")],
    )
    return exp.CTE(this=query, alias=_alias(name), materialized=True)


def _pseudonymous(table: schema.Table, pseudonyms: str, analysis: Analysis) -> exp.Select:
    own, of_persons = (analysis.alias(f"{analysis.prefix}{word}") for word in ("scan", "people"))
    scan = _scan(table, person_as=lambda _: exp.column(_PSEUDONYM, of_persons, quoted=True), alias=own)
    together = exp.EQ(
        this=exp.column(_PERSON, of_persons, quoted=True), expression=exp.column(_person_of(table), own, quoted=True)
    )
    # Nobody's rows find no pseudonym and stay.
    scan.append("joins", exp.Join(this=_table(pseudonyms, of_persons), side="LEFT", on=together))
    return scan


def _person_of(table: schema.Table) -> str:
    column = table.column(table.person_column or "")
    return column.name if column is not None else ""


def _marked(table: schema.Table, analysis: Analysis) -> exp.Select:
    """Return a received table's columns, and one by which an outer join shows whether it has a row here."""
    alias = analysis.alias(f"{analysis.prefix}scan")
    outputs = [
        exp.alias_(exp.column(column.name, alias, quoted=True), column.name, quoted=True) for column in table.columns
    ]
    outputs.append(exp.alias_(exp.true(), analysis.presence, quoted=True))
    return exp.Select(expressions=outputs, from_=exp.From(this=_table(table.name, alias)))


def _table(name: str, alias: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True), alias=_alias(alias))


def _alias(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name, quoted=True))
