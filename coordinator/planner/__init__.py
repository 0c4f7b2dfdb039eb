"""The planner: from a researcher's SQL to a plan, as a chain of pure functions.

parse -> bind -> place -> cut -> Plan. Same catalogue, permit and request: same plan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from archipel import errors
from archipel.certificate import Rejected
from archipel.permit import Permit
from archipel.request import Request
from archipel.schema import Scope
from coordinator.catalog import Catalog, without_site_keys
from coordinator.plan import OutputColumn, Plan
from coordinator.plan_check import certified
from coordinator.planner.assembly import Assembly
from coordinator.planner.bind import Bound, Describe, bind
from coordinator.planner.explain import explain_text
from coordinator.planner.outputs import with_types
from coordinator.planner.parse import parse
from coordinator.planner.privacy import with_noise
from coordinator.planner.problems import closes_way, is_of_border, to_tell, why_not
from coordinator.planner.rules import EVERY_RULE, Rules
from coordinator.planner.scope import over_federation, scope_of
from coordinator.planner.solve import Solver
from coordinator.planner.universal import answer_at_coordinator, check_size

__all__ = ["Describe", "explain_text", "plan"]


def plan(request: Request, catalog: Catalog, permit: Permit, describe: Describe, rules: Rules = EVERY_RULE) -> Plan:
    """Return the plan of a request over a catalogue, within a permit.

    ``describe`` says which columns a statement gives (``coordinator.shadow.Shadow.describe``); ``rules`` are the
    optimisations that are used.

    Raises:
        ArchipelError: SQL_..., PERMIT_SCOPE, POLICY_REFUSED, BORDER_REFUSED, SCHEMA_CONFLICT, NODE_UNAVAILABLE; with
            the place in the SQL where it has one.
    """
    try:
        return _plan(request, catalog, permit, describe, rules)
    except RecursionError as cause:
        raise errors.error(
            errors.SQL_TOO_LARGE, "The query is nested too deeply.", hint="Split it into WITH parts."
        ) from cause


def _plan(request: Request, catalog: Catalog, permit: Permit, describe: Describe, rules: Rules) -> Plan:
    scope = scope_of(request)
    as_written = request.sql if request.dialect.lower() == "duckdb" and not request.parameters else None
    try:
        tree = parse(request)
    except errors.ArchipelError as problem:
        raise _read_by_engine(problem, as_written, describe) from None
    bound = bind(tree, as_written, catalog, permit, describe)
    known = replace(catalog if rules.local_joins else without_site_keys(catalog), asks_all=not rules.pruning)
    assembly = Assembly(
        known, permit, _of_stages(describe), _prefix(bound), rules, scope=scope, privacy=request.privacy
    )
    result_stage, columns = _finished(bound, describe, assembly)
    made = Plan(
        sql=request.sql,
        stages=tuple(assembly.stages),
        exchanges=tuple(assembly.exchanges),
        result_stage=result_stage,
        columns=tuple(OutputColumn(w.name, c.type) for w, c in zip(bound.columns, columns, strict=True)),
        notes=tuple(assembly.notes),
        alternatives=tuple(assembly.alternatives),
        not_pushed=tuple(assembly.not_pushed),
        intervals=assembly.kept_intervals(),
    )
    if scope is Scope.FEDERATION:
        made = over_federation(made, catalog, permit)
    made = with_noise(made, catalog, permit, request)
    try:
        return certified(made, catalog, permit)
    except Rejected as cause:
        raise errors.error(errors.INTERNAL, f"The plan cannot be certified: {cause}.") from None


def _finished(bound: Bound, describe: Describe, assembly: Assembly) -> tuple[str, tuple[OutputColumn, ...]]:
    """Add all stages, by the best way that is open; of these the universal one is the last."""
    problems = [bound.closed] if bound.closed is not None else []
    if bound.tree is not None and bound.whole is not None:
        mark = assembly.mark()
        try:
            found = assembly.finish_stage(with_types(Solver(assembly).solve(bound.tree, bound.whole), bound, assembly))
            check_size(assembly)
            return found
        except errors.ArchipelError as problem:
            if not closes_way(problem):
                raise
            problems.append(problem)
        assembly.back(mark)
    try:
        found = assembly.finish_stage(answer_at_coordinator(bound, describe, assembly))
        check_size(assembly)
        if problems:
            assembly.not_pushed.append(f"the query, which runs whole over rows: {why_not(problems)}")
        return found
    except errors.ArchipelError as problem:
        # What no holder lets go says nothing of why the query could not be cut.
        raise to_tell([*problems, problem] if is_of_border(problem) else [problem, *problems]) from None


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
    """Return ``describe`` for SQL that the researcher never saw: its complaints have no place in theirs.

    Within one plan the same statement is asked for several times.
    """
    known: dict[tuple[object, ...], tuple[OutputColumn, ...]] = {}

    def described(
        sql: str, inputs: Mapping[str, tuple[OutputColumn, ...]] | None = None, *, bare: bool = False
    ) -> tuple[OutputColumn, ...]:
        key = (sql, bare, *(inputs or {}).items())
        if key not in known:
            try:
                known[key] = describe(sql, inputs, bare=bare)
            except errors.ArchipelError as problem:
                raise errors.without_position(problem) from None
        return known[key]

    return described


def _prefix(bound: Bound) -> str:
    """Return the prefix of exchange names: one with which no name of the query begins."""
    trees = [bound.written] if bound.tree is None else [bound.written, bound.tree]
    names = {i.name.lower() for tree in trees for i in tree.find_all(exp.Identifier)}
    prefix = "x"
    while any(re.match(f"{prefix}\\d", name) for name in names):
        prefix += "x"
    return prefix
