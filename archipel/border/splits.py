"""Where an aggregate treats rows differently: the conditions by which it splits the rows of a group.

A sum in which one person's value is taken and everybody else counts 1 is that value. So each side of every split must
have nobody or enough persons: of the aggregate's FILTER, and in its arguments of each branch of CASE and IF, each
value that COALESCE, NULLIF, GREATEST and LEAST choose, and each truth value that is computed with.

What splits rows by arithmetic (``days // 366``) has no condition. There the *pieces* of an argument, the operands that
are themselves computed, are looked at by their values: see ``archipel.border.spread``.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from archipel.border import syntax
from archipel.border.building import every, known, paren, untrue

_TRUTHS = (exp.Connector, exp.Predicate, exp.Not, exp.In, exp.Exists, exp.Between, exp.SubqueryPredicate)
_OPERATIONS = (exp.Binary, exp.Neg, exp.Pow)
_PLAIN = (exp.Column, exp.Literal, exp.Boolean, exp.Null)


def splits(unit: exp.Expr) -> list[exp.Expr]:
    """Return conditions on a row; the persons for whom one holds must be none or enough."""
    call, condition = syntax.split_filter(unit)
    path: list[exp.Expr] = []
    found: list[exp.Expr] = []
    if condition is not None:
        found += [condition.copy(), untrue(condition)]
        path = [condition]
    for argument in syntax.arguments(call):
        found += _walk(argument, path)
    return found


def conditions(value: exp.Expr) -> list[exp.Expr]:
    """Return the conditions by which a value, not an aggregate, splits rows: both sides of each."""
    return list(_walk(value, []))


def pieces(argument: exp.Expr) -> list[exp.Expr]:
    """Return the computed operands of an argument, for those rows that reach them.

    >>> import sqlglot
    >>> [piece.sql() for piece in pieces(sqlglot.parse_one("year + cost * (days % 366)"))]
    ['cost * (days % 366)', 'days % 366']
    """
    return list({piece.sql(): piece for piece in _pieces(syntax.unwrapped(argument), [])}.values())


def is_of_tests(argument: exp.Expr) -> bool:
    """Whether an argument is a CASE or IF that gives nothing but 0, 1 and NULL: its sum is a count."""
    node = syntax.unwrapped(argument)
    if isinstance(node, exp.Case):
        given = [branch.args["true"] for branch in node.args["ifs"]]
        return all(map(is_of_tests, [*given, node.args.get("default") or exp.null()]))
    if isinstance(node, exp.If):
        return all(map(is_of_tests, [node.args["true"], node.args.get("false") or exp.null()]))
    return isinstance(node, exp.Null) or (isinstance(node, exp.Literal) and node.this in ("0", "1"))


def is_step(piece: exp.Expr) -> bool:
    """Whether a piece is more than arithmetic, such as ``days // 366``: it may have one value for nearly all."""
    node = syntax.unwrapped(piece)
    while isinstance(node, exp.Case | exp.Cast | exp.TryCast | exp.Neg | exp.Paren):
        node = node.args["ifs"][0].args["true"] if isinstance(node, exp.Case) else node.this
    return not isinstance(node, (*_PLAIN, exp.Add, exp.Sub, exp.Mul, exp.Div))


def _walk(node: exp.Expr, path: list[exp.Expr]) -> Iterator[exp.Expr]:
    node = syntax.unwrapped(node)
    if isinstance(node, exp.Query | exp.Window) or _is_aggregate(node):
        return
    if isinstance(node, _TRUTHS):
        yield every([*path, node])
        yield every([*path, untrue(node)])
        return
    chosen = list(_choices(node))
    if chosen:
        for condition, value in chosen:
            taken = [*path, *condition]
            yield every(taken)
            if value is not None:
                yield from _walk(value, taken)
        return
    for child in node.iter_expressions():
        if not isinstance(child, exp.Identifier | exp.DataType | exp.Var):
            yield from _walk(child, path)


def _is_aggregate(node: exp.Expr) -> bool:
    return syntax.aggregate_name(syntax.split_filter(node)[0]) is not None


def _choices(node: exp.Expr) -> Iterator[tuple[list[exp.Expr], exp.Expr | None]]:
    """Return the ways in which an expression can choose its value: the condition of each, and the value."""
    if isinstance(node, exp.Case):
        tested = node.this
        others: list[exp.Expr] = []
        for branch in node.args["ifs"]:
            condition = branch.this if tested is None else exp.EQ(this=paren(tested), expression=paren(branch.this))
            yield [*others, condition], branch.args["true"]
            others = [*others, untrue(condition)]
        yield others, node.args.get("default")
    elif isinstance(node, exp.If):
        yield [node.this], node.args["true"]
        yield [untrue(node.this)], node.args.get("false")
    elif isinstance(node, exp.Coalesce):
        parts = [node.this, *node.expressions]
        if len(parts) == 2 and isinstance(syntax.unwrapped(parts[1]), exp.Literal):
            # coalesce(cost, 0): its sum is that of cost. How many have none is no more than count(cost) tells.
            yield [known(parts[0])], parts[0]
            return
        missing: list[exp.Expr] = []
        for part in parts:
            yield [*missing, known(part)], part
            missing = [*missing, paren(part).is_(exp.null())]
    elif isinstance(node, exp.Nullif):
        same = exp.EQ(this=paren(node.this), expression=paren(node.expression))
        yield [same], None
        yield [untrue(same)], node.this
    elif isinstance(node, exp.Greatest | exp.Least):
        for part in (node.this, *node.expressions):
            yield [exp.EQ(this=paren(part), expression=node.copy())], part


def _pieces(node: exp.Expr, path: list[exp.Expr]) -> Iterator[exp.Expr]:
    if isinstance(node, _TRUTHS) or _is_aggregate(node):
        return
    chosen = list(_choices(node))
    if chosen:
        for condition, value in chosen:
            if value is not None:
                yield from _pieces(syntax.unwrapped(value), [*path, *condition])
        return
    for child in map(syntax.unwrapped, node.iter_expressions()):
        if isinstance(child, exp.Identifier | exp.DataType | exp.Var | exp.Query | exp.Window):
            continue
        computed = not isinstance(child, _PLAIN) and child.find(exp.Column) is not None
        if computed and isinstance(node, _OPERATIONS) and not isinstance(child, (*_TRUTHS, exp.Case, exp.If)):
            yield exp.Case(ifs=[exp.If(this=every(path), true=child.copy())]) if path else child.copy()
        yield from _pieces(child, path)
