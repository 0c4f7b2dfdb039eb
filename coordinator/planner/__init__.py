"""The planner: from a researcher's SQL to a plan, as a chain of pure functions.

parse -> bind -> place -> cut -> Plan. Same catalogue, permit and request: same plan.
"""

from __future__ import annotations

import re
from typing import Any

from sqlglot import exp

from archipel import errors
from archipel.permit import Permit
from archipel.request import Request
from coordinator.catalog import Catalog
from coordinator.plan import OutputColumn, Plan
from coordinator.planner import rewrite
from coordinator.planner.assembly import Assembly
from coordinator.planner.bind import Bound, Describe, bind
from coordinator.planner.explain import explain_text
from coordinator.planner.parse import parse
from coordinator.planner.problems import to_tell
from coordinator.planner.solve import Solver

__all__ = ["Describe", "explain_text", "plan"]


def plan(request: Request, catalog: Catalog, permit: Permit, describe: Describe) -> Plan:
    """Return the plan of a request over a catalogue, within a permit.

    ``describe`` says which columns a statement gives (``coordinator.shadow.Shadow.describe``).

    Raises:
        ArchipelError: SQL_..., PERMIT_SCOPE, POLICY_REFUSED, BORDER_REFUSED, SCHEMA_CONFLICT, NODE_UNAVAILABLE; with
            the place in the SQL where it has one.
    """
    try:
        return _plan(request, catalog, permit, describe)
    except RecursionError as cause:
        raise errors.error(
            errors.SQL_TOO_LARGE, "The query is nested too deeply.", hint="Split it into WITH parts."
        ) from cause


def _plan(request: Request, catalog: Catalog, permit: Permit, describe: Describe) -> Plan:
    as_written = request.sql if request.dialect.lower() == "duckdb" and not request.parameters else None
    try:
        tree = parse(request)
    except errors.ArchipelError as problem:
        raise _read_by_engine(problem, as_written, describe) from None
    bound = bind(tree, as_written, catalog, permit, describe)
    assembly = Assembly(catalog, permit, _of_stages(describe), _prefix(bound.tree))
    solved = Solver(assembly).solve(bound.tree, bound.whole)
    try:
        result_stage, columns = assembly.finish_stage(_with_types(solved, bound, assembly))
    except errors.ArchipelError as problem:
        raise to_tell([problem]) from None
    return Plan(
        sql=request.sql,
        stages=tuple(assembly.stages),
        exchanges=tuple(assembly.exchanges),
        result_stage=result_stage,
        columns=tuple(OutputColumn(w.name, c.type) for w, c in zip(bound.columns, columns, strict=True)),
        notes=tuple(assembly.notes),
    )


def _read_by_engine(problem: errors.ArchipelError, text: str | None, describe: Describe) -> errors.ArchipelError:
    """Return what the engine says of text that our parser cannot read: its own error, or that it is right after all."""
    if problem.info.code is not errors.SQL_SYNTAX or text is None:
        return problem
    try:
        describe(text)
    except errors.ArchipelError as other:
        return other if other.info.code is errors.SQL_SYNTAX else problem
    info = problem.info
    return errors.error(
        errors.SQL_UNSUPPORTED,
        f"This is right, but cannot be read yet: {info.message[:1].lower()}{info.message[1:]}",
        hint="Write it otherwise: give an expression a name in the SELECT list, and use the name.",
        position=info.position,
    )


def _of_stages(describe: Describe) -> Describe:
    """Return ``describe`` for SQL that the researcher never saw: its complaints have no place in theirs."""

    def described(*args: Any, **kwargs: Any) -> tuple[OutputColumn, ...]:
        try:
            return describe(*args, **kwargs)
        except errors.ArchipelError as problem:
            raise errors.without_position(problem) from None

    return described


def _prefix(tree: exp.Query) -> str:
    """Return the prefix of exchange names: one with which no name of the query begins."""
    names = {i.name for i in tree.find_all(exp.Identifier)}
    prefix = "x"
    while any(re.match(f"{prefix}\\d", name) for name in names):
        prefix += "x"
    return prefix


def _with_types(tree: exp.Query, bound: Bound, assembly: Assembly) -> exp.Query:
    """Return the tree with its outputs cast to what the engine describes for the researcher's own query."""
    found = assembly.describe_own(tree)
    if len(found) != len(bound.columns):
        raise errors.error(errors.INTERNAL, "The plan gives other columns than the query.")
    different = [i for i, (f, w) in enumerate(zip(found, bound.columns, strict=True)) if f.type != w.type]
    if not different:
        return tree
    if not isinstance(tree, exp.Select) or tree.args.get("distinct"):
        names = [exp.to_identifier(f"c{i}", quoted=True) for i in range(len(found))]
        alias = exp.TableAlias(this=rewrite.quoted("q"), columns=names)
        outer = exp.select(
            *(rewrite.aliased(rewrite.column("q", n.name), w.name) for n, w in zip(names, bound.columns, strict=True))
        )
        outer.set("from_", exp.From(this=exp.Subquery(this=tree, alias=alias)))
        tree = outer
    for index in different:
        projection = tree.expressions[index]
        cast = exp.cast(projection.unalias().copy(), bound.columns[index].type, dialect="duckdb")
        projection.replace(rewrite.aliased(cast, projection.alias_or_name or bound.columns[index].name))
    return tree
