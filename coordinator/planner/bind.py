"""Binding: every name of the query is found in the catalogue and in the permit, or the researcher is told where not.

The tree that comes out is qualified (every column carries its source), its identifiers are lower-case and quoted, stars
are expanded, and common table expressions stand where they are used.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

from archipel import errors
from archipel.border import parsing, vocabulary
from archipel.permit import Permit
from archipel.schema import NODE_COLUMN
from coordinator.catalog import Catalog, CatalogTable
from coordinator.plan import OutputColumn
from coordinator.planner.inline import inline
from coordinator.planner.narrow import narrowed
from coordinator.planner.positions import position_of
from coordinator.planner.products import refuse_effort, refuse_products

Describe = Callable[..., tuple[OutputColumn, ...]]
"""``describe(sql, inputs=None, *, bare=False)``: see ``coordinator.shadow.Shadow``."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound query: the tree with common table expressions in their places, and the columns it must give.

    ``whole`` is the same query as the researcher wrote it, qualified but otherwise unchanged, and ``written`` is that
    before names were resolved. None is ever altered. A query that only the coordinator can run has no ``tree`` and no
    ``whole``; ``closed`` says why.
    """

    tree: exp.Query | None
    whole: exp.Query | None
    columns: tuple[OutputColumn, ...]
    tables: tuple[str, ...]
    written: exp.Query
    closed: errors.ArchipelError | None = None


def bind(tree: exp.Query, text: str | None, catalog: Catalog, permit: Permit, describe: Describe) -> Bound:
    """Return the bound query. ``text`` is the researcher's own SQL if it is in DuckDB's dialect and has no parameters.

    Raises:
        ArchipelError: SQL_UNKNOWN_TABLE, SQL_UNKNOWN_COLUMN, SQL_AMBIGUOUS_COLUMN, SQL_TYPE, SQL_UNKNOWN_FUNCTION,
            SCHEMA_CONFLICT, PERMIT_SCOPE, SQL_UNSUPPORTED.
    """
    written = tree.copy()
    tree = tree.copy()
    _open_parentheses(tree)
    tables = tables_of(tree, catalog)
    for table, entry in tables:
        _check_table(table, entry, permit)
    names_node = any(c.name.lower() == NODE_COLUMN for c in tree.find_all(exp.Column))
    schema = {entry.table.name.lower(): _columns(entry, names_node) for _, entry in tables}
    engine = _Engine(describe, tree, text, bare=not names_node, known=schema)
    _refuse_chance(written)
    refuse_effort(written)
    unlisted = _unlisted(written, vocabulary.COORDINATOR)
    _refuse_open_pivots(written)
    if names_node:
        _refuse_natural(tree)
    qualified, closed = _for_nodes(tree, schema, engine)
    if qualified is not None:
        try:
            _check_columns(qualified, schema, permit)
        except errors.ArchipelError as problem:
            if problem.info.code not in _NAMES or not engine.accepts():
                raise
            qualified, closed = None, _unqualified("its names are resolved by the engine alone")
        except parsing.LIBRARY_ERRORS:
            qualified, closed = None, _unqualified("it is of a form that is run whole")
    if qualified is not None and _has_keys_alike(written):
        qualified, closed = None, _unqualified("two keys of its grouping sets are one expression under two names")
    columns = engine.columns(qualified)
    if unlisted is not None:
        raise unlisted
    refuse_products(qualified or written, catalog)
    if qualified is None or closed is not None:
        return Bound(None, None, columns, tuple(sorted(schema)), written, closed)
    _name_outputs(qualified, [c.name for c in columns])
    if names_node and _has_star(tree):
        written = qualified  # its stars are written out, without the node
    return Bound(narrowed(inline(qualified.copy())), qualified, columns, tuple(sorted(schema)), written)


_NAMES = (errors.SQL_UNKNOWN_COLUMN, errors.SQL_UNKNOWN_TABLE, errors.SQL_AMBIGUOUS_COLUMN)


def _unqualified(reason: str) -> errors.ArchipelError:
    return errors.error(errors.SQL_UNSUPPORTED, f"The query cannot be cut: {reason}.")


def _refuse_chance(tree: exp.Query) -> None:
    for sample in tree.find_all(exp.TableSample):
        raise errors.error(
            errors.SQL_UNSUPPORTED,
            "A sample is another one every time and at every node, so there is no one answer.",
            hint="Choose rows by a rule over their columns, such as WHERE hash(ward) % 10 = 0.",
            position=position_of(sample.parent or sample),
        )


def _refuse_open_pivots(tree: exp.Query) -> None:
    """Refuse PIVOT whose columns depend on the rows: what a query gives must be known before it is run."""
    for pivot in tree.find_all(exp.Pivot):
        if pivot.args.get("unpivot"):
            continue
        named = [*pivot.expressions, *(pivot.args.get("fields") or [])] if pivot.this is None else pivot.expressions
        keys = [k for k in named if not isinstance(k, exp.In)] if pivot.this is not None else []
        keys += [k for k in named if isinstance(k, exp.In) and not k.expressions]
        if keys:
            raise errors.error(
                errors.SQL_UNSUPPORTED,
                "The columns of this PIVOT depend on the rows.",
                hint="Name the values: PIVOT ... ON kind IN ('a', 'b') USING ...",
                position=position_of(keys[0]),
            )


def _refuse_natural(tree: exp.Query) -> None:
    """The node is a column only where it is named; a NATURAL join over it would be by it, too, or would not."""
    for join in tree.find_all(exp.Join):
        if str(join.args.get("method") or "").upper() == "NATURAL":
            raise errors.error(
                errors.SQL_UNSUPPORTED,
                f"A NATURAL JOIN cannot stand in a query that names '{NODE_COLUMN}'.",
                hint="Name the columns: JOIN ... USING (...).",
                position=position_of(join.this),
            )


def _for_nodes(
    tree: exp.Query, schema: Mapping[str, Mapping[str, str]], engine: _Engine
) -> tuple[exp.Query | None, errors.ArchipelError | None]:
    """Return the qualified query, and why no node can run any of it as it is written, if none can."""
    try:
        qualified = _qualified(tree, schema, engine)
        return qualified, _unlisted(qualified, vocabulary.NODE)
    except errors.ArchipelError as problem:
        if problem.info.code is not errors.SQL_UNSUPPORTED:
            raise
        return None, problem


def _unlisted(tree: exp.Query, language: vocabulary.Language) -> errors.ArchipelError | None:
    """Return the refusal of a function that is on no list; the engine may know a better word for it.

    Raises:
        ArchipelError: SQL_UNSUPPORTED: the query holds other syntax than that of the language.
    """
    try:
        parsing.check_syntax(tree, language)
    except errors.ArchipelError as refused:
        if refused.info.code is not errors.SQL_UNKNOWN_FUNCTION:
            raise
        return refused
    return None


def _has_star(tree: exp.Query) -> bool:
    """Whether some SELECT lists all columns; the star of ``count(*)`` is none of these."""
    return any(p.is_star for select in tree.find_all(exp.Select) for p in select.expressions)


@dataclass(frozen=True, slots=True)
class _Engine:
    """Asks the engine about the researcher's query; its complaints get a place in the researcher's SQL."""

    describe: Describe
    tree: exp.Query
    text: str | None
    bare: bool
    known: Mapping[str, Mapping[str, str]]

    def columns(self, qualified: exp.Query | None) -> tuple[OutputColumn, ...]:
        found = self.ask()
        if self.bare or not _has_star(self.tree):
            return found
        if qualified is None:
            star = next((s for s in self.tree.find_all(exp.Star) if not isinstance(s.parent, exp.Count)), None)
            raise errors.error(
                errors.SQL_UNSUPPORTED,
                f"A star cannot stand for all columns but '{NODE_COLUMN}' in a query of this form.",
                hint="Name the columns.",
                position=position_of(star) if star is not None else None,
            )
        # Where the node is named, tables have it as a column, and the engine's star would show it.
        return self.describe(qualified.sql("duckdb"))

    def accepts(self) -> bool:
        """Whether the engine takes the query."""
        try:
            self.ask()
        except errors.ArchipelError:
            return False
        return True

    def ask(self) -> tuple[OutputColumn, ...]:
        original = self.text if self.text is not None else self.tree.sql("duckdb")
        try:
            return self.describe(original, bare=self.bare)
        except errors.ArchipelError as problem:
            raise self._placed(problem) from None

    def _placed(self, problem: errors.ArchipelError) -> errors.ArchipelError:
        """Return a complaint with the place of the name that it quotes, where that name stands only once."""
        info = problem.info
        if "'" not in info.message:
            return problem if self.text is not None else errors.without_position(problem)
        name = info.message.split("'")[1]
        hint, place = info.hint, info.position if self.text is not None else None
        if place is None:
            found = [i for i in self.tree.find_all(exp.Identifier) if i.name.lower() == name.lower()]
            place = position_of(found[0]) if len(found) == 1 else None
        if info.code is errors.SQL_UNKNOWN_COLUMN and not hint:
            known = {c for columns in self.known.values() for c in columns} - {name.lower()}
            near = difflib.get_close_matches(name.lower(), sorted(known), n=1)
            hint = f"Did you mean '{near[0]}'?" if near else ""
        return errors.error(info.code, info.message, hint=hint, position=place)


def _qualified(tree: exp.Query, schema: Mapping[str, Mapping[str, str]], engine: _Engine) -> exp.Query:
    """Return the tree with names resolved and stars expanded; a star does not show the node."""
    known: dict[str, object] = dict(schema)
    visible: dict[str, object] = {t: [c for c in columns if c != NODE_COLUMN] for t, columns in schema.items()}
    try:
        qualified = qualify(
            tree.copy(),
            schema=MappingSchema(known, visible=visible, dialect="duckdb") if schema else None,
            dialect="duckdb",
            validate_qualify_columns=False,
            identify=True,
            sql=engine.text,
        )
    except parsing.LIBRARY_ERRORS as cause:
        # What the engine says of the same query is clearer than what the parser's library says, if it says anything.
        _unlisted(tree, vocabulary.NODE)
        engine.ask()
        raise errors.error(errors.SQL_UNSUPPORTED, f"The query cannot be understood: {_first(cause)}.") from None
    if not isinstance(qualified, exp.Query):
        raise errors.error(errors.SQL_NOT_A_QUERY, "This is no query.")
    _place_stars(qualified, tree)
    _name_positions(qualified)
    return qualified


def _open_parentheses(tree: exp.Query) -> None:
    """Take joins out of parentheses, in place, where they come first: (a JOIN b ON x) JOIN c ON y."""
    for select in list(tree.find_all(exp.Select)):
        source = select.args.get("from_")
        held = source.this if source is not None else None
        while isinstance(held, exp.Subquery) and isinstance(held.this, exp.Table) and not held.args.get("alias"):
            table = held.this
            hanging = [*(table.args.get("joins") or []), *(held.args.get("joins") or [])]
            table.set("joins", None)
            held.replace(table)
            select.set("joins", [*hanging, *(select.args.get("joins") or [])])
            held = table


def _name_positions(tree: exp.Query) -> None:
    """Put outputs in the place of their positions in grouping sets, in place; elsewhere qualification does it."""
    for select in tree.find_all(exp.Select):
        group = select.args.get("group")
        if group is None:
            continue
        for sets in list(group.find_all(exp.Rollup, exp.Cube, exp.GroupingSets)):
            for key in list(sets.find_all(exp.Literal)):
                if isinstance(key.parent, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple | exp.Paren):
                    _name_position(key, select)


def _name_position(key: exp.Literal, select: exp.Select) -> None:
    if not key.is_string and key.name.isdigit() and 1 <= int(key.name) <= len(select.expressions):
        output = select.expressions[int(key.name) - 1].unalias()
        key.replace(output.copy())


def _has_keys_alike(tree: exp.Query) -> bool:
    """Whether keys of grouping sets are one expression by different names or positions: the engine keeps them apart."""
    for select in tree.find_all(exp.Select):
        group = select.args.get("group")
        sets = list(group.find_all(exp.Rollup, exp.Cube, exp.GroupingSets)) if group is not None else []
        if not sets:
            continue
        outputs = {p.alias.lower(): p.unalias() for p in select.expressions if p.alias}
        spelled: dict[str, str] = {}
        for key in (k for part in sets for found in part.expressions for k in found.walk()):
            value: exp.Expr | None = None
            if isinstance(key, exp.Literal) and key.name.isdigit() and 1 <= int(key.name) <= len(select.expressions):
                value = select.expressions[int(key.name) - 1].unalias()
            elif isinstance(key, exp.Column):
                value = outputs.get(key.name.lower(), key) if not key.table else key
            if value is None:
                continue
            name = key.sql("duckdb").lower()
            if spelled.setdefault(value.sql("duckdb").lower(), name) != name:
                return True
    return False


def _place_stars(qualified: exp.Query, tree: exp.Query) -> None:
    """Give the columns that a star stands for the place of the star, where there is only one."""
    stars = [s for s in tree.find_all(exp.Star) if not isinstance(s.parent, exp.Count) and "line" in s.meta]
    if len(stars) != 1:
        return
    for select in qualified.find_all(exp.Select):
        for projection in select.expressions:
            column = projection.unalias()
            if isinstance(column, exp.Column) and position_of(column) is None:
                column.this.meta.update(stars[0].meta)


def tables_of(tree: exp.Query, catalog: Catalog) -> list[tuple[exp.Table, CatalogTable]]:
    """Return every place where a query reads a table of the catalogue.

    Raises:
        ArchipelError: SQL_UNKNOWN_TABLE.
    """
    found = []
    common = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name = table.name
        if not isinstance(table.this, exp.Identifier):
            continue  # a table function: the engine and the border check see to it
        if table.args.get("db") or table.args.get("catalog"):
            raise errors.error(
                errors.SQL_UNKNOWN_TABLE,
                f"There is no table '{table.sql('duckdb')}': tables of the federation have plain names.",
                hint="Leave out what stands before the last dot.",
                position=position_of(table),
            )
        entry = catalog.find(name)
        if name.lower() in common and _sees_cte(table, name):
            continue
        if entry is None:
            near = difflib.get_close_matches(name.lower(), [*catalog.tables, *common], n=1)
            hint = f"Did you mean '{_written(near[0], catalog)}'?" if near else "'archipel tables' lists all tables."
            raise errors.error(
                errors.SQL_UNKNOWN_TABLE, f"There is no table '{name}'.", hint=hint, position=position_of(table)
            )
        found.append((table, entry))
    return found


def _sees_cte(table: exp.Table, name: str) -> bool:
    """Whether a common table expression of that name is in scope at ``table`` (it hides a table of the catalogue)."""
    child: exp.Expr = table
    node = table.parent
    while node is not None:
        ctes = node.args.get("with_")
        if ctes is not None and child is not ctes:
            if any(cte.alias_or_name.lower() == name.lower() for cte in ctes.expressions):
                return True
        elif ctes is not None:
            inside = next((i for i, cte in enumerate(ctes.expressions) if _contains(cte, table)), 0)
            visible = ctes.expressions if ctes.args.get("recursive") else ctes.expressions[:inside]
            if any(cte.alias_or_name.lower() == name.lower() for cte in visible):
                return True
        child, node = node, node.parent
    return False


def _contains(outer: exp.Expr, inner: exp.Expr) -> bool:
    node: exp.Expr | None = inner
    while node is not None:
        if node is outer:
            return True
        node = node.parent
    return False


def _written(name: str, catalog: Catalog) -> str:
    entry = catalog.find(name)
    return entry.table.name if entry else name


def _check_table(table: exp.Table, entry: CatalogTable, permit: Permit) -> None:
    if entry.conflict is not None:
        info = entry.conflict
        raise errors.error(info.code, info.message, hint=info.hint, position=position_of(table))
    if not permit.allows_table(entry.table.name):
        raise errors.error(
            errors.PERMIT_SCOPE,
            f"The permit does not name table '{entry.table.name}'.",
            position=position_of(table),
        )


def _columns(entry: CatalogTable, names_node: bool) -> dict[str, str]:
    columns = {c.name.lower(): c.type for c in entry.table.columns}
    return {**columns, NODE_COLUMN: "VARCHAR"} if names_node else columns


def _check_columns(tree: exp.Query, schema: Mapping[str, Mapping[str, str]], permit: Permit) -> None:
    for scope in traverse_scope(tree):
        query = scope.expression
        outputs = {name.lower() for name in query.named_selects if name} if isinstance(query, exp.Query) else set()
        projections = {id(p) for p in query.selects} if isinstance(query, exp.Select) else set()
        for column in scope.columns:
            if isinstance(column.this, exp.Star):
                continue
            source = _source_of(column, scope)
            if source is None:
                _unresolved(column, scope, outputs, schema, among_outputs=_is_within(column, projections))
                continue
            known = _known_columns(source, schema)
            if known is not None and column.name.lower() not in known:
                _unknown(column, known, f" in '{column.table}'")
            if isinstance(source, exp.Table) and source.name in schema and column.name.lower() != NODE_COLUMN:
                _check_permit(column, source.name, permit)


def _is_within(node: exp.Expr, roots: set[int]) -> bool:
    current: exp.Expr | None = node
    while current is not None and id(current) not in roots:
        current = current.parent
    return current is not None


def _check_permit(column: exp.Column, table: str, permit: Permit) -> None:
    if not permit.allows_column(table, column.name):
        text = f"The permit does not name column '{column.name}' of table '{table}'."
        granted = next((g.columns for g in permit.tables if g.table.lower() == table), ())
        hint = f"It names: {', '.join(granted)}." if granted else None
        raise errors.error(errors.PERMIT_SCOPE, text, hint=hint, position=position_of(column))


def _source_of(column: exp.Column, scope: Scope) -> exp.Expr | Scope | None:
    if not column.table:
        return None
    current: Scope | None = scope
    while current is not None:
        found: exp.Expr | Scope | None = current.sources.get(column.table)
        if found is not None:
            return found
        current = current.parent
    return None


def _known_columns(source: exp.Expr | Scope, schema: Mapping[str, Mapping[str, str]]) -> list[str] | None:
    """Return a source's column names; None when they cannot be known here (table functions and the like)."""
    if isinstance(source, exp.Table):
        columns = schema.get(source.name)
        return list(columns) if columns is not None else None
    expression = source.expression if isinstance(source, Scope) else source
    if not isinstance(expression, exp.Query):
        return None
    names = [name.lower() for name in expression.named_selects]
    return None if not names or "*" in names or "" in names else names


def _unresolved(
    column: exp.Column,
    scope: Scope,
    outputs: set[str],
    schema: Mapping[str, Mapping[str, str]],
    *,
    among_outputs: bool,
) -> None:
    name = column.name.lower()
    if name in outputs and not column.table and not among_outputs:
        return  # an alias of the same SELECT
    if column.table:
        known = sorted(str(s) for s in scope.sources)
        near = difflib.get_close_matches(column.table.lower(), known, n=1)
        if not near and any(_known_columns(s, schema) is None for s in scope.sources.values()):
            return  # perhaps a field of a column of a source whose columns are not known here
        raise errors.error(
            errors.SQL_UNKNOWN_TABLE,
            f"There is no table '{column.table}' in this FROM clause.",
            hint=f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(known)}." if known else "",
            position=position_of(column),
        )
    holders: list[str] = []
    every: list[str] = []
    current: Scope | None = scope
    while current is not None:
        for alias, source in current.sources.items():
            columns = _known_columns(source, schema)
            if columns is None:
                return
            every += columns
            if name in columns:
                holders.append(str(alias))
        current = current.parent
    if len(holders) > 1:
        raise errors.error(
            errors.SQL_AMBIGUOUS_COLUMN,
            f"The column '{column.name}' is in more than one table here: {', '.join(holders)}.",
            hint=f"Write the table's name or alias before it, such as {holders[0]}.{column.name}.",
            position=position_of(column),
        )
    if not holders and name not in outputs:
        _unknown(column, [*every, *outputs], "")


def _unknown(column: exp.Column, known: Iterable[str], where: str) -> None:
    names = sorted({name for name in known if not name.startswith("_col_")})
    near = difflib.get_close_matches(column.name.lower(), names, n=1)
    raise errors.error(
        errors.SQL_UNKNOWN_COLUMN,
        f"There is no column '{column.name}'{where}.",
        hint=f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(names[:20])}." if names else "",
        position=position_of(column),
    )


def _name_outputs(tree: exp.Query, names: list[str]) -> None:
    """Give the outermost projections the names that the engine gives them."""
    select = tree
    while not isinstance(select, exp.Select):
        if not isinstance(select, exp.SetOperation | exp.Subquery):
            return
        select = select.this
    if len(select.expressions) != len(names):
        return
    for projection, name in zip(list(select.expressions), names, strict=True):
        if isinstance(projection, exp.Alias) and projection.alias.lower() == name.lower():
            projection.set("alias", exp.to_identifier(name, quoted=True))


def _first(cause: Exception) -> str:
    return str(cause).splitlines()[0].rstrip(".") if str(cause) else type(cause).__name__
