"""What may go to another node: rows or keys of open tables, and of protected ones under pseudonyms, person by person.

What is sent about persons stays theirs: the release says what the receiver owes for it (``Release.obliges``).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from archipel import linkage, schema
from archipel.border import linking, parsing, refusal, syntax
from archipel.border.analysis import Analysis
from archipel.border.decision import BorderContext, Release
from archipel.border.outermost import own_tables, read_columns, restore_names
from archipel.border.refusal import refused
from archipel.border.relations import Carrier, Output, Relation
from archipel.border.unions import covers
from archipel.obligations import STRICTEST_FIRST
from archipel.permit import Permit

RULE_OPEN = "tables that are not protected: rows may go to this node"
RULE_OPEN_KEYS = "tables that are not protected: distinct keys may go to this node"
RULE_ROWS = "protected tables: rows of persons under project pseudonyms may go to this node"
RULE_KEYS = "protected tables: persons under project pseudonyms may go to this node"

_STRICTNESS = tuple(reversed(STRICTEST_FIRST))
_CHOICES = (("order", "ORDER BY"), ("limit", "LIMIT"), ("offset", "OFFSET"))


def check_table(table: schema.Table, node: exp.Expr, context: BorderContext) -> None:
    """Refuse a table of which nothing may go to the destination, a node."""
    if table.policy.protected and table.name.lower() in context.received:
        raise refused(refusal.RECEIVED_ONWARD, node, table.name)
    if table.policy.form_to(context.destination) < schema.Form.KEYS:
        raise refused(refusal.PEER_NOT_ALLOWED, node, table.name)
    if needs_intersection(table, context.destination, context.permit, context.node) and not context.intersected:
        raise refused(refusal.INTERSECTION, node, table.name)


def needs_intersection(table: schema.Table, destination: str, permit: Permit, node: str) -> bool:
    """Whether a node may learn only of those persons of a table of ``node`` whom it has itself."""
    required = permit.intersection or destination in table.policy.intersection_peers
    return table.policy.protected and destination != node and required


def open_release(tree: exp.Expr, analysis: Analysis, used: list[schema.Table], names: list[str]) -> Release:
    """Return the release of a statement over tables that are not protected."""
    form = _form(used, analysis.context)
    if form < schema.Form.ROWS and not _gives_keys(tree):
        raise _keys_only(tree, used, analysis.context)
    relation = analysis.relation(tree, None, {})
    restore_names(relation.node, names)
    policy = schema.TablePolicy(
        protected=False,
        coordinator_form=_coordinator_form(used, schema.Form.ROWS),
        min_persons=0,
        peer_forms=_common_peers(used),
    )
    return _release(
        relation.node,
        analysis,
        used,
        obliges=schema.Table("released", _columns(relation), policy=policy),
        rule=RULE_OPEN if form is schema.Form.ROWS else RULE_OPEN_KEYS,
        linked=False,
    )


def protected_release(tree: exp.Expr, analysis: Analysis, used: list[schema.Table], names: list[str]) -> Release:
    """Return the release of a statement that names protected tables; ``used`` have their persons under pseudonyms."""
    if isinstance(tree, exp.SetOperation):
        raise refused(refusal.TOP_SET_OPERATION, tree)
    if not isinstance(tree, exp.Select):
        raise refused(refusal.PEER_ROWS_PERSON, tree)
    for clause, words in _CHOICES:
        if tree.args.get(clause):
            raise refused(refusal.PEER_CLAUSE, tree.args[clause], words)
    form = _form(used, analysis.context)
    distinct = _is_distinct(tree, [syntax.unwrapped(projection.unalias()) for projection in tree.expressions])
    too_much = None
    if form < schema.Form.ROWS and not (distinct and len(tree.expressions) == 1):
        too_much = _keys_only(tree, used, analysis.context)  # made now, while the tree carries positions
    relation = analysis.relation(tree, None, {})
    person = _person_of_every_row(relation)
    if too_much is not None:
        raise too_much
    statement = relation.node
    restore_names(statement, names)
    columns = _columns(relation)
    shown = columns[relation.outputs.index(person)].name
    # Rows lie in the order of their storage, which may be that of the identifiers; by pseudonym it says nothing.
    statement.set("order", exp.Order(expressions=[exp.Ordered(this=exp.column(shown, quoted=True))]))
    protected = [table for table in used if table.policy.protected]
    policy = schema.TablePolicy(
        protected=True,
        coordinator_form=_coordinator_form(used, schema.Form.AGGREGATE),
        min_persons=analysis.min_persons,
        roles=tuple(
            (column.name, _role(output, analysis.context))
            for column, output in zip(columns, relation.outputs, strict=True)
        ),
        tell_withheld_count=all(table.policy.tell_withheld_count for table in protected),
        tell_match_rates=all(table.policy.tell_match_rates for table in protected),
    )
    carrier = person.person.carrier if person.person is not None else None
    obliges = schema.Table(
        "released",
        columns,
        person_column=shown,
        person_domain=carrier.domain if carrier is not None else None,
        policy=policy,
    )
    return _release(
        statement,
        analysis,
        used,
        obliges=obliges,
        rule=RULE_ROWS if form is schema.Form.ROWS else RULE_KEYS,
        linked=True,
    )


def _release(
    statement: exp.Expr, analysis: Analysis, used: list[schema.Table], *, obliges: schema.Table, rule: str, linked: bool
) -> Release:
    names = [column.name.lower() for column in obliges.columns]
    if len(set(names)) < len(names):
        raise refused(refusal.CONSTRUCT, statement, "two outputs of one name")
    pseudonymised = linking.with_scans(statement, analysis)
    if linked and not pseudonymised:
        raise refused(refusal.PEER_ROWS_PERSON, statement)
    protected = [table for table in used if table.policy.protected]
    return Release(
        sql=parsing.render(statement),
        form=_form(used, analysis.context),
        protected=obliges.policy.protected,
        min_persons=obliges.policy.min_persons,
        tables=own_tables(used, analysis.context),
        columns=read_columns(analysis, protected),
        rule=rule,
        withheld_column=None,
        persons_column=None,
        tell_withheld_count=obliges.policy.tell_withheld_count,
        obliges=obliges,
        pseudonymised=pseudonymised,
    )


# Rows of one person each


def _person_of_every_row(relation: Relation) -> Output:
    """Return the one output that says whose each row is.

    No other person may have a part in the row, be it as another output or in a value; nor may the person be absent.
    """
    persons = [output for output in relation.outputs if output.person is not None]
    if len(persons) != 1 or persons[0].person is None:
        raise refused(refusal.PEER_ROWS_PERSON, relation.node)
    carrier: Carrier | None = persons[0].person.carrier
    if carrier is None or carrier.listed or carrier.optional or not covers(carrier, relation):
        raise refused(refusal.PEER_ROWS_PERSON, relation.node)
    return persons[0]


def _role(output: Output, context: BorderContext) -> schema.Role:
    """Return the strictest role of the columns from which an output is computed."""
    if output.person is not None:
        return schema.Role.MEASURE
    roles = [context.tables[base.table.lower()].policy.role_of(base.column) for base in output.columns]
    return max(roles, key=_STRICTNESS.index, default=schema.Role.PUBLIC)


def _columns(relation: Relation) -> tuple[schema.Column, ...]:
    """Return the outputs under the names that they leave with; the type is known of a person only."""
    first = relation.node
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    spelled = [p.alias_or_name for p in first.expressions] if isinstance(first, exp.Select) else []
    names = spelled if len(spelled) == len(relation.outputs) else [output.name for output in relation.outputs]
    return tuple(
        schema.Column(name, linkage.PERSON_TYPE if output.person is not None else "")
        for name, output in zip(names, relation.outputs, strict=True)
    )


# Keys


def _gives_keys(tree: exp.Expr) -> bool:
    """Whether a statement gives distinct values of plain columns, and beside them only what is computed from these."""
    if not isinstance(tree, exp.Select):
        return False
    values = [syntax.unwrapped(projection.unalias()) for projection in tree.expressions]
    plain = [value for value in values if isinstance(value, exp.Column)]
    computed = [value for value in values if not isinstance(value, exp.Column)]
    if any(isinstance(node, exp.Query | exp.Window) for value in computed for node in value.walk()):
        return False
    if any(column not in plain for value in computed for column in value.find_all(exp.Column)):
        return False
    return _is_distinct(tree, plain)


def _is_distinct(tree: exp.Select, values: Sequence[exp.Expr]) -> bool:
    """Whether each combination of ``values`` comes once."""
    if any(syntax.aggregates_in(part) for part in (*tree.expressions, *filter(None, (tree.args.get("order"),)))):
        return False
    distinct, group = tree.args.get("distinct"), tree.args.get("group")
    if distinct is not None:
        return not distinct.args.get("on")
    if group is None or group.args.get("all") or syntax.has_grouping_sets(group):
        return False
    return {syntax.unwrapped(key) for key in syntax.grouping_keys(group)} == set(values)


def _keys_only(tree: exp.Expr, used: list[schema.Table], context: BorderContext) -> Exception:
    table = next(table for table in used if table.policy.form_to(context.destination) < schema.Form.ROWS)
    node = next((node for node in tree.find_all(exp.Table) if node.name.lower() == table.name.lower()), tree)
    return refused(refusal.PEER_KEYS_ONLY, node, table.name)


# Policies together


def _form(used: list[schema.Table], context: BorderContext) -> schema.Form:
    return min((table.policy.form_to(context.destination) for table in used), default=schema.Form.ROWS)


def _coordinator_form(used: list[schema.Table], most: schema.Form) -> schema.Form:
    return min([most, *(table.policy.coordinator_form for table in used)])


def _common_peers(used: list[schema.Table]) -> tuple[tuple[str, schema.Form], ...]:
    """Return for each node the strongest form in which all tables may go to it."""
    if not used:
        return ((schema.EVERY_PEER, schema.Form.ROWS),)
    peers = sorted({peer for table in used for peer, _ in table.policy.peer_forms})
    forms = []
    for peer in peers:
        if peer == schema.EVERY_PEER:
            form = min(dict(table.policy.peer_forms).get(peer, schema.Form.NONE) for table in used)
        else:
            form = min(table.policy.form_to(peer) for table in used)
        forms.append((peer, form))
    return tuple(forms) if any(form for _, form in forms) else ()
