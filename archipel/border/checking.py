"""The border check: one statement against tables, policy and permit, and the statement that may run instead.

Pure. The node decides by it; the coordinator asks it beforehand. What runs is rendered from the checked tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from archipel import errors, linkage, schema
from archipel.border import conditions, linking, outermost, parsing, peers, refusal
from archipel.border.analysis import Analysis
from archipel.border.decision import BorderContext, Release
from archipel.border.naming import qualified
from archipel.border.refusal import refused
from archipel.permit import Permit


def check(statement: str | exp.Expr, context: BorderContext) -> Release:
    """Return what may run at ``context.node`` for ``statement``, and what is known of the release.

    A tree is judged by the text that it renders to, as the node will see it; only where a refusal points to in the
    researcher's SQL is taken from the positions that the tree's nodes carry.

    Raises:
        ArchipelError: BORDER_REFUSED, PERMIT_SCOPE, POLICY_REFUSED or SQL_..., with the name of the rule.
    """
    if isinstance(statement, str):
        try:
            return _check(parsing.parse(statement), context)
        except errors.ArchipelError as problem:
            raise errors.without_position(problem) from None
    tree = statement.copy()
    text = parsing.text_of(tree)
    try:
        return _check(parsing.parse(text), context)
    except errors.ArchipelError as problem:
        raise _located(problem, tree, context) from None


def _located(problem: errors.ArchipelError, tree: exp.Expr, context: BorderContext) -> errors.ArchipelError:
    """Return the refusal with the position that the same refusal has in ``tree``."""
    plain = errors.without_position(problem)
    try:
        parsing.check_syntax(tree)
        _check(tree, context)
    except errors.ArchipelError as again:
        if again.rule == problem.rule and again.info.message == problem.info.message:
            return again
    return plain


def _check(tree: exp.Expr, context: BorderContext) -> Release:
    try:
        return _decide(tree, context)
    except RecursionError:
        raise refused(refusal.TOO_LARGE) from None
    except parsing.LIBRARY_ERRORS:
        # Whatever the tree is that this code was not prepared for: it is not released.
        raise refused(refusal.CONSTRUCT, None, "in this form") from None


def _decide(tree: exp.Expr, context: BorderContext) -> Release:
    while isinstance(tree, exp.Subquery) and tree.alias == "":
        tree = tree.this.pop()
    _names_are_apart(context)
    linked = linking.linked_tables(tree, context)
    for table in _tables(tree, context):
        _may_be_used(table, tree, context, linked)
    seen = linking.seen_in(context, linked)
    used = _tables(tree, seen)
    names = [projection.alias_or_name for projection in tree.selects] if isinstance(tree, exp.Query) else []
    tree = qualified(tree, seen)
    conditions.check(tree, used)
    protected = [table for table in used if table.policy.protected]
    minimum = max([schema.MIN_PERSONS_FLOOR, context.permit.min_persons, *(t.policy.min_persons for t in protected)])
    analysis = Analysis(seen, minimum, prefix=_free_prefix(tree, context), linked=frozenset(linked))
    if context.destination != schema.COORDINATOR:
        release = peers.protected_release if protected else peers.open_release
        return release(tree, analysis, used, names)
    if protected:
        return outermost.protected_release(tree, analysis, protected)
    return outermost.open_release(tree, analysis, used, names)


def _names_are_apart(context: BorderContext) -> None:
    """Refuse a task that brings a table by the name of another one, or by that of the keys' table."""
    if context.inputs.keys() & context.tables.keys() or linkage.PADS_TABLE in {*context.inputs, *context.tables}:
        raise refused(refusal.INPUT_NAME)
    taken = {*context.tables, *context.inputs, linkage.PADS_TABLE}
    if not taken.isdisjoint(context.received):
        raise refused(refusal.RECEIVED_NAME)


def _tables(tree: exp.Expr, context: BorderContext) -> list[schema.Table]:
    """Return the tables that the statement names, inputs left out; common table expressions hide none of them here."""
    defined = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    found: dict[str, schema.Table] = {}
    for node in tree.find_all(exp.Table):
        name = node.name.lower()
        if name in context.inputs or not isinstance(node.this, exp.Identifier):
            continue
        table = context.tables.get(name) or context.received.get(name)
        if table is not None:
            found[name] = replace(table, name=name) if name in context.received else table
        elif name not in defined:
            raise refused(refusal.UNKNOWN_TABLE, node, node.name)
    return [found[name] for name in sorted(found)]


def _may_be_used(
    table: schema.Table, tree: exp.Expr, context: BorderContext, linked: Mapping[str, schema.Table]
) -> None:
    name = table.name.lower()
    received = name in context.received
    to_coordinator = context.destination == schema.COORDINATOR
    node = next(node for node in tree.find_all(exp.Table) if node.name.lower() == name)
    if not received and not context.permit.allows_table(table.name):
        raise refused(refusal.PERMIT_TABLE, node, table.name)
    if not to_coordinator:
        peers.check_table(table, node, context)
    elif table.policy.coordinator_form is schema.Form.NONE:
        raise refused(refusal.NOTHING_LEAVES, node, table.name)
    if not table.policy.protected:
        return
    if to_coordinator and context.scope not in table.policy.scopes:
        raise refused(refusal.THRESHOLD_SCOPE, node, table.name)
    person = table.column(table.person_column or "")
    if person is None:
        raise refused(refusal.NO_PERSON_COLUMN, node, table.name)
    if (received or not to_coordinator) and not context.permit.linkage:
        raise refused(refusal.LINKAGE, node, table.name)
    if received and not _is_linked(table, person, context.permit):
        raise refused(refusal.RECEIVED_NOT_LINKED, node, table.name)
    if name in linked and not linkage.has_pseudonym(person.type):
        raise refused(refusal.LINKAGE_TYPE, node, table.name)


def _is_linked(table: schema.Table, person: schema.Column, permit: Permit) -> bool:
    of_project = linkage.is_of_project(table.person_domain, permit.permit_id)
    return of_project and person.type.upper() == linkage.PERSON_TYPE


def _free_prefix(tree: exp.Expr, context: BorderContext) -> str:
    """Return a beginning that no name of the statement has, and no column that another node sent."""
    names = {node.name.lower() for node in tree.find_all(exp.Identifier)}
    names |= {column.name.lower() for table in context.received.values() for column in table.columns}
    prefix = "border_"
    while any(name.startswith(prefix) for name in names):
        prefix = f"_{prefix}"
    return prefix
