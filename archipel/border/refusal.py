"""Why the border check refuses: a fixed list of rules, each with its text, its code and the nearest legal question.

A text names tables, columns and functions of the catalogue or of the researcher's own SQL; it never holds a value, a
literal or a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot import exp

from archipel import errors

_PLAIN = re.compile(r"[\w$.]{1,80}")
_AT_A_NODE = "at a node"


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to refuse. ``text`` and ``hint`` may have the place ``{name}`` for a name of the SQL.

    ``own_words`` says that what is put there are words of this package instead.
    """

    name: str
    code: errors.ErrorCode
    text: str
    hint: str = ""
    own_words: bool = False


_RULES: dict[str, Rule] = {}


def _rule(name: str, code: errors.ErrorCode, text: str, hint: str = "", *, own_words: bool = False) -> Rule:
    rule = Rule(name, code, text, hint, own_words)
    _RULES[name] = rule
    return rule


_BORDER = errors.BORDER_REFUSED
_POLICY = errors.POLICY_REFUSED

# The language
SYNTAX = _rule("syntax", errors.SQL_SYNTAX, "The SQL cannot be parsed.")
NOT_A_QUERY = _rule(
    "not-a-query",
    errors.SQL_NOT_A_QUERY,
    "Only one SELECT statement (WITH and set operations included) may be sent.",
)
TOO_LARGE = _rule(
    "too-large",
    errors.SQL_TOO_LARGE,
    "The SQL is longer or more deeply nested than can be checked.",
    "Write it flatter, or send long lists of values as a table.",
)
CONSTRUCT = _rule(
    "construct",
    errors.SQL_UNSUPPORTED,
    "The construct {name} is not among those that may run at a node.",
    own_words=True,
)
FUNCTION = _rule(
    "function",
    errors.SQL_UNKNOWN_FUNCTION,
    "The function {name} is not among those that may run at a node.",
    "The list of functions is in the documentation of the border check.",
)
CLOCK = _rule(
    "clock",
    errors.SQL_UNKNOWN_FUNCTION,
    "The function {name} with so few arguments reads the clock.",
    "Write the date.",
)
TYPE = _rule("type", errors.SQL_UNSUPPORTED, "A cast to the type {name} is not supported.")
PARAMETER = _rule("parameter", errors.SQL_PARAMETER, "The SQL holds a parameter that was not given a value.")
UNKNOWN_TABLE = _rule("unknown-table", errors.SQL_UNKNOWN_TABLE, "There is no table {name} at this node.")
QUALIFIED_TABLE = _rule(
    "qualified-table",
    errors.SQL_UNKNOWN_TABLE,
    "The table {name} is named with a schema or catalogue; tables have plain names here.",
)
UNKNOWN_COLUMN = _rule("unknown-column", errors.SQL_UNKNOWN_COLUMN, "There is no column {name} in the tables named.")
AMBIGUOUS_COLUMN = _rule(
    "ambiguous-column",
    errors.SQL_AMBIGUOUS_COLUMN,
    "The column {name} is in more than one of the tables named.",
    errors.SQL_AMBIGUOUS_COLUMN.hint,
)

INPUT_NAME = _rule("input-name", errors.BAD_REQUEST, "A table sent with the task has the name of a table of this node.")

# Permit and policy
PERMIT_TABLE = _rule(
    "permit-table", errors.PERMIT_SCOPE, "The permit does not name the table {name}.", errors.PERMIT_SCOPE.hint
)
PERMIT_COLUMN = _rule(
    "permit-column", errors.PERMIT_SCOPE, "The permit does not name the column {name}.", errors.PERMIT_SCOPE.hint
)
HIDDEN_COLUMN = _rule("hidden-column", _POLICY, "The holder does not let the column {name} be used.")
NOTHING_LEAVES = _rule("form-none", _POLICY, "The holder lets nothing out of the table {name}.")
ROWS_WHERE = _rule(
    "rows-where",
    _POLICY,
    "The holder lets only some rows of the table {name} take part, and the statement does not say which.",
    "Add the condition that the holder's policy names to the WHERE beside the table.",
)
NO_PERSON_COLUMN = _rule(
    "no-person-column", _POLICY, "The table {name} is protected but names no person column, so nothing leaves it."
)

# The shape of what leaves
ROW_LEVEL = _rule(
    "row-level-output",
    _BORDER,
    "Single rows of a protected table do not leave the node.",
    "Aggregate: SELECT a group, count(*) ... GROUP BY the group.",
)
TOP_CLAUSE = _rule(
    "clause-over-groups",
    _BORDER,
    "{name} may not be decided at the node over groups that were not released.",
    "The coordinator applies HAVING, ORDER BY, LIMIT, DISTINCT and windows to what was released.",
    own_words=True,
)
TOP_SET_OPERATION = _rule(
    "set-operation-output", _BORDER, "A set operation over protected tables does not leave as one statement."
)
OUTPUT_EXPRESSION = _rule(
    "output-expression",
    _BORDER,
    "The output {name} is neither a group key nor one aggregate nor a constant.",
    "Give every aggregate a column of its own; compute with them afterwards.",
)
VALUE_AGGREGATE = _rule(
    "value-aggregate",
    _BORDER,
    "The aggregate {name} shows single values of persons.",
    "Use count, sum, avg, stddev, a low or high quantile, or counts by band of the value.",
)
HISTOGRAM = _rule(
    "histogram",
    _BORDER,
    "A median or quantile cannot be counted {name}.",
    "Ask for one quantile of each column, of plain groups, without FILTER; another one in a query of its own.",
    own_words=True,
)
ROWS_AGGREGATE = _rule(
    "rows-aggregate",
    _BORDER,
    "The aggregate {name} gives all values; the holder lets only aggregates of the table leave.",
    "Use count, sum, avg, min, max, stddev.",
)
SKETCH = _rule(
    "sketch",
    _POLICY,
    "Policy lets no sketch of table {name} leave, only plain aggregates.",
    "Ask for count; the holder would have to write 'coordinator: sketch' for {name}.",
)
SKETCH_SALT = _rule(
    "sketch-salt",
    _BORDER,
    "A sketch is not salted for the permit under which it is asked.",
    "",
)
DISTINCT_AGGREGATE = _rule(
    "distinct-aggregate",
    _BORDER,
    "DISTINCT in the aggregate {name} is not released; only count(DISTINCT ...) is.",
)
MEASURE_GROUP_KEY = _rule(
    "measure-group-key",
    _BORDER,
    "The column {name} may be counted and summed but not grouped by.",
    "Group by a column that the holder marks as group or public.",
)
IDENTIFIER_GROUP_KEY = _rule(
    "identifier-group-key",
    _BORDER,
    "The column {name} could identify a person together with others; it is a group key only in the holder's bins.",
    "The holder names no bin for it: filter by it instead.",
)
LINK_ONLY = _rule(
    "link-only",
    _BORDER,
    "The column {name} may only be joined with another identifier and counted.",
    "Equate it with a link column or a person column, or write count(DISTINCT {name}).",
)
NO_PERSONS = _rule(
    "no-persons",
    _BORDER,
    "A protected table is named, but the rows that are aggregated belong to no person of it.",
    "Name the protected table in the FROM clause of the aggregating SELECT.",
)

# Persons
PERSON_OUTPUT = _rule(
    "person-output",
    _BORDER,
    "The column {name} identifies persons and never leaves the node.",
    "Count persons with count(DISTINCT {name}).",
)
PERSON_GROUP_KEY = _rule(
    "person-group-key",
    _BORDER,
    "Groups by {name} are single persons.",
    "Group by an age band, a region or another property that many persons share.",
)
PERSON_EXPRESSION = _rule(
    "person-expression",
    _BORDER,
    "The column {name} identifies persons; nothing may be computed from it.",
    "It may be joined with the same identifier of another table, grouped or partitioned by below the outermost SELECT, "
    "and counted with count(DISTINCT {name}).",
)
PERSON_COMPARISON = _rule(
    "person-comparison",
    _BORDER,
    "The column {name} identifies persons and may only be equated with the same identifier of another protected table.",
)
WINDOW_ACROSS_PERSONS = _rule(
    "window-across-persons",
    _BORDER,
    "A window over several persons would copy one person's values to others.",
    "Partition the window by the person column.",
)
VALUE_ACROSS_PERSONS = _rule(
    "value-across-persons",
    _BORDER,
    "The aggregate {name} over several persons would copy one person's value to others.",
    "Group by the person column in this subquery.",
)
SUBQUERY_ACROSS_PERSONS = _rule(
    "subquery-across-persons",
    _BORDER,
    "A subquery over a protected table may only be EXISTS or IN that equates its person column with the outer row's.",
    "Write WHERE EXISTS (SELECT 1 FROM other o WHERE o.person = t.person AND ...), or join.",
)
LIMIT_ACROSS_PERSONS = _rule(
    "limit-below-border",
    _BORDER,
    "{name} in a subquery would choose among the rows of several persons.",
    own_words=True,
)
SET_OPERATION_PERSONS = _rule(
    "set-operation-persons",
    _BORDER,
    "The branches of this set operation do not carry the same persons in the same place.",
    "Use UNION ALL over tables of the same persons, or name the person column first in every branch.",
)
DOMAIN_TYPES = _rule(
    "person-types", _BORDER, "The person columns of the branches of this set operation differ in type."
)

# Other nodes
PEER_NOT_ALLOWED = _rule(
    "peer-not-allowed",
    _POLICY,
    "The holder lets nothing of the table {name} go to that node.",
    "Aggregate it where it is, or ask its holder to name the node among the table's peers.",
)
PEER_KEYS_ONLY = _rule(
    "peer-keys-only",
    _POLICY,
    "The holder lets only distinct keys of the table {name} go to that node.",
    "Send SELECT DISTINCT of plain columns (of a protected table: of its person column alone) and join there.",
)
LINKAGE = _rule(
    "linkage-not-in-permit",
    errors.PERMIT_SCOPE,
    "The table {name} is about persons: it is joined across nodes only under a permit for linkage.",
    "Ask the authority for a permit with linkage, or aggregate at each node and join the aggregates.",
)
LINKAGE_TYPE = _rule(
    "linkage-person-type",
    _POLICY,
    "The person column of the table {name} is neither text nor a whole number, so it has no pseudonym.",
    "The holder can offer the table with the identifier as text.",
)
INTERSECTION = _rule(
    "intersection-required",
    _POLICY,
    "Of the table {name} that node may learn only of persons whom it has, too: a private set intersection comes before "
    "what is sent, and there is none.",
    "Join it by an inner join that equates the person columns of both holders' tables; an outer join, NOT EXISTS or "
    "NOT IN needs persons who are not in both.",
)
PEER_ROWS_PERSON = _rule(
    "peer-rows-person",
    _BORDER,
    "What goes to another node shows one person column, once, and every row belongs to exactly one person.",
    "Select the person column once; equate the person columns of all protected tables that are joined; group by it, if "
    "at all.",
)
PEER_CLAUSE = _rule(
    "peer-clause",
    _BORDER,
    "{name} would order or choose among the rows of several persons; to another node goes a set of rows.",
    "Filter with WHERE; ORDER BY and LIMIT apply to the final answer.",
    own_words=True,
)
RECEIVED_ONWARD = _rule(
    "received-onward",
    _BORDER,
    "The table {name} came from another node and is about persons: it does not go on to a third.",
    "Aggregate it here, or have the node that holds the table send to both.",
)
RECEIVED_NOT_LINKED = _rule(
    "received-not-linked",
    _BORDER,
    "The table {name} came from another node, but its persons do not stand under this project's pseudonyms.",
)
RECEIVED_NAME = _rule(
    "received-name",
    errors.BAD_REQUEST,
    "A table that another node sent has the name of a table of this node or of one that was sent with the task.",
)

# Thresholds over all nodes
THRESHOLD_SCOPE = _rule(
    "threshold-scope",
    _POLICY,
    "Policy does not let the threshold of the table {name} count so.",
    'Ask with the other threshold_scope: "node" counts the persons of each node, "federation" those of all.',
)
MASKED = _rule(
    "masked",
    _BORDER,
    "A total over nodes whose parts stay hidden cannot be made of {name}.",
    "Ask for counts, sums, means and deviations of whole numbers and decimals, one grouping at a time.",
    own_words=True,
)

# Noise
NOISE_PERSONS = _rule(
    "noise-persons",
    _BORDER,
    "Noise hides one person only where every row that is aggregated belongs to exactly one person of this node.",
    "Join tables of persons on the person, leave out rows without one, and aggregate only once.",
)
NOISE_AGGREGATE = _rule(
    "noise-aggregate",
    _BORDER,
    "The aggregate {name} is not answered with noise.",
    "Ask for count(*), count(DISTINCT person), sums and means.",
)
NOISE_SUM = _rule(
    "noise-sum",
    _BORDER,
    "With noise only columns are added up as they stand in their table; here something is computed first.",
    "Sum the column itself, or count rows with FILTER.",
)
NOISE_GROUPING = _rule(
    "noise-grouping",
    _BORDER,
    "With noise one grouping is answered at a time.",
    "Ask each of the groupings in a query of its own.",
)
PRIVACY_NOT_OFFERED = _rule(
    "privacy-not-offered",
    _POLICY,
    "Policy does not offer differential privacy for the table {name}.",
    "Ask without it; its holder offers it by the key 'privacy' of the table.",
)
PRIVACY_ONLY = _rule(
    "privacy-only",
    _POLICY,
    "The table {name} is answered with differential privacy only.",
    "Ask with an epsilon, as in privacy=Privacy(epsilon=1.0).",
)
PRIVACY_EPSILON = _rule("privacy-epsilon", _POLICY, "Policy does not let one answer have so large an epsilon.")
PRIVACY_BOUNDS = _rule(
    "privacy-bounds",
    _POLICY,
    "The column {name} cannot be summed: how much one person may add to it is not declared.",
)


def all_rules() -> tuple[Rule, ...]:
    """Return every rule, in the order of its definition."""
    return tuple(_RULES.values())


def refused(
    rule: Rule, node: exp.Expr | None = None, name: str = "", *, where: str = _AT_A_NODE, hint: str = ""
) -> errors.ArchipelError:
    """Return the error of a rule, with the position that ``node`` carries from parsing, if it carries one.

    ``where`` says whose language it is that a construct or a function does not belong to. A ``hint`` that is given
    stands in place of the rule's.
    """
    # A name that is no plain name could be a path or a value.
    plain = rule.own_words or _PLAIN.fullmatch(name) is not None
    quoted = name if rule.own_words else f"'{name}'"
    return errors.error(
        rule.code,
        rule.text.replace("{name}", quoted if plain else "of that name").replace(_AT_A_NODE, where),
        hint=hint or rule.hint.replace("{name}", name if plain else "it") or rule.code.hint,
        position=position_of(node),
        rule=rule.name,
    )


def position_of(node: exp.Expr | None) -> errors.Position | None:
    """Return where ``node`` begins in the SQL it was parsed from: the first place that it or a part of it carries."""
    if node is None:
        return None
    for part in node.walk(bfs=False):
        line, column = part.meta.get("line"), part.meta.get("col")
        if line is None or column is None:
            continue
        # sqlglot notes the column of a token's last character.
        width = part.meta.get("end", 0) - part.meta.get("start", 0)
        return errors.Position(int(line), max(1, int(column) - width))
    return None
