"""The border check: one statement against tables, policy and permit, and the statement that may run instead.

Pure. The node decides by it; the coordinator asks it beforehand. What runs is rendered from the checked tree.
"""

from __future__ import annotations

from sqlglot import exp

from archipel import errors, schema
from archipel.border import outermost, parsing, refusal
from archipel.border.analysis import Analysis
from archipel.border.decision import BorderContext, Release
from archipel.border.naming import qualified
from archipel.border.refusal import refused


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
    if context.inputs.keys() & context.tables.keys():
        raise refused(refusal.INPUT_NAME)
    used = _tables(tree, context)
    for table in used:
        _may_be_used(table, tree, context)
    names = [projection.alias_or_name for projection in tree.selects] if isinstance(tree, exp.Query) else []
    tree = qualified(tree, context)
    protected = [table for table in used if table.policy.protected]
    minimum = max([schema.MIN_PERSONS_FLOOR, context.permit.min_persons, *(t.policy.min_persons for t in protected)])
    analysis = Analysis(context, minimum, prefix=_free_prefix(tree))
    if protected:
        return outermost.protected_release(tree, analysis, protected)
    return outermost.open_release(tree, analysis, used, names)


def _tables(tree: exp.Expr, context: BorderContext) -> list[schema.Table]:
    """Return the node's tables that the statement names; names of common table expressions hide none of them here."""
    defined = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    found: dict[str, schema.Table] = {}
    for node in tree.find_all(exp.Table):
        name = node.name.lower()
        if name in context.inputs or not isinstance(node.this, exp.Identifier):
            continue
        table = context.tables.get(name)
        if table is not None:
            found[name] = table
        elif name not in defined:
            raise refused(refusal.UNKNOWN_TABLE, node, node.name)
    return [found[name] for name in sorted(found)]


def _may_be_used(table: schema.Table, tree: exp.Expr, context: BorderContext) -> None:
    node = next(node for node in tree.find_all(exp.Table) if node.name.lower() == table.name.lower())
    if not context.permit.allows_table(table.name):
        raise refused(refusal.PERMIT_TABLE, node, table.name)
    if table.policy.coordinator_form is schema.Form.NONE:
        raise refused(refusal.NOTHING_LEAVES, node, table.name)
    if table.policy.protected and table.column(table.person_column or "") is None:
        raise refused(refusal.NO_PERSON_COLUMN, node, table.name)


def _free_prefix(tree: exp.Expr) -> str:
    """Return a beginning that no name of the statement has."""
    names = {node.name.lower() for node in tree.find_all(exp.Identifier)}
    prefix = "border_"
    while any(name.startswith(prefix) for name in names):
        prefix = f"_{prefix}"
    return prefix
