"""A policy in plain words: what it lets out, to whom, table by table, and which of its choices are risky.

Pure. Where the tables' columns are known (a node's own files), what is said is about all of them; without, about those
that the policy names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from archipel import schema
from archipel.policy import Policy, TableRules
from archipel.policy_columns import ColumnRule

POTENTIAL_IDENTIFIER = re.compile(
    r"birth|naiss|(^|_)nai(_|$)|death|deces|(^|_)dcd(_|$)|commune|(^|_)com(_|$)|insee|postal|postcode|(^|_)zip|"
    r"date|(^|_)dat(_|$)|_dt[edf]$",
    re.IGNORECASE,
)
"""Names that birth, death, places and dates of care go by, in English and in the tables of the SNDS."""

LARGE_EPSILON = 10.0
"""Above, what differential privacy promises of one answer is a factor of more than 22,000."""

_DATES = ("DATE", "TIMESTAMP")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_APPROVALS = {
    "auto": "nobody looks at a question before it is answered",
    "first-use": "a person at the node decides on the first question of each researcher, permit and table",
    "every-query": "a person at the node decides on every statement",
}
_COORDINATOR = {
    "none": "nothing",
    "aggregate": "aggregates",
    "sketch": "aggregates, and sketches of distinct values",
    "rows": "single rows",
}


@dataclass(frozen=True, slots=True)
class Part:
    """What is said of the node, or of one table: a title, lines under it, and warnings."""

    title: str
    lines: tuple[str, ...]
    warnings: tuple[str, ...]


def explain(
    policy: Policy, tables: Mapping[str, schema.Table] | None = None, *, others: Sequence[str] = ()
) -> tuple[Part, ...]:
    """Return what a policy means: the whole node first, then each table.

    ``tables`` are the node's own, by lower-case name, if they are known; ``others`` names tables of the node that could
    not be read.
    """
    parts = [_node(policy)]
    known = tables or {}
    for name, rules in policy.tables.items():
        parts.append(_table(name, rules, policy, known.get(name.lower())))
    named = {name.lower() for name in policy.tables}
    silent = [table.name for key, table in known.items() if key not in named]
    silent += [name for name in others if name.lower() not in named]
    if silent:
        parts.append(Part("Tables that the policy does not name", (f"{', '.join(silent)}: nothing leaves.",), ()))
    return tuple(parts)


def _node(policy: Policy) -> Part:
    rules = policy.node
    absent = "" if "approval" in rules.model_fields_set else " (the key is absent: the strictest holds)"
    lines = [f"Approval: over protected tables {_APPROVALS[rules.approval]}{absent}."]
    warnings = []
    if rules.approval == "auto":
        warnings.append("approval is auto: no person sees a question before it is answered")
    lines.append(f"Hours: {'; '.join(hours.text() for hours in rules.working_hours) or 'at any time'}.")
    limits = [
        f"{most} {'an' if word == 'hour' else 'a'} {word} of one {whose}"
        for whose, each in (("researcher", rules.rate_limits.researcher), ("permit", rules.rate_limits.permit))
        for most, _, word in each.limits()
    ]
    lines.append(f"Questions: {'at most ' + ', '.join(limits) if limits else 'as many as are asked'}.")
    if not limits:
        warnings.append("no rate_limits: a researcher may ask without end")
    compared = rules.ledger.differences == "refuse"
    lines.append(f"Earlier answers: what differs from one by a few persons is {'refused' if compared else 'answered'}.")
    if not compared:
        warnings.append("ledger.differences is allow: two answers may differ by one person, who is then known")
    if rules.privacy is not None:
        budget = rules.privacy
        in_all = f", and {budget.epsilon_in_all:g} over all permits" if budget.epsilon_in_all else ""
        lines.append(
            f"Differential privacy: an epsilon of {budget.epsilon_per_permit:g} and a delta of "
            f"{budget.delta_per_permit:g} over all answers of a permit{in_all}."
        )
        if not budget.epsilon_in_all:
            warnings.append("node.privacy.epsilon_in_all is absent: several permits together have several budgets")
    if rules.opposition:
        lines += [
            f"Opposition: who is in {each.file or each.table} (source {each.source}) takes part in nothing of a "
            f"protected table whose persons are of the domain '{each.person_domain}'."
            for each in rules.opposition
        ]
    elif any(table.protected for table in policy.tables.values()):
        lines.append("Opposition: no list.")
        warnings.append("no opposition list: who objects is left out only if the data leaves them out already")
    return Part("The whole node", tuple(lines), tuple(warnings))


def _table(name: str, rules: TableRules, policy: Policy, table: schema.Table | None) -> Part:
    kind = "about persons" if rules.protected else "not about persons"
    lines = [
        f"To the coordinator: {_to_coordinator(rules)}.",
        *_to_peers(rules),
        *_columns(rules, table),
    ]
    if rules.protected:
        lines += _limits(rules)
        if rules.approval not in {None, policy.node.approval}:
            lines.append(f"Approval: {_APPROVALS[policy.approval_of(name)]}, other than for the node.")
    elif rules.approval not in {None, "auto"}:
        lines.append(f"Approval: {_APPROVALS[policy.approval_of(name)]}.")
    if rules.rows_where:
        lines.append(f"Rows: only those for which {rules.rows_where}; a statement must say so itself.")
    if rules.snapshot is not None:
        lines.append(f"Snapshot: only while the data is {rules.snapshot.name or 'this'} ({rules.snapshot.digest}).")
    return Part(f"Table {name}: {kind}", tuple(lines), tuple(_warnings(rules, policy, name, table)))


def _to_coordinator(rules: TableRules) -> str:
    if not rules.protected or rules.coordinator == "none":
        return _COORDINATOR[rules.coordinator]
    return f"{_COORDINATOR[rules.coordinator]}, of groups of at least {rules.min_persons} distinct persons"


def _to_peers(rules: TableRules) -> Iterator[str]:
    given = {peer: rule.form for peer, rule in rules.peers.items() if rule.form != "none"}
    if not given:
        yield "To other nodes: nothing."
    for peer, form in given.items():
        who = "every other node" if peer == schema.EVERY_PEER else f"the node {peer}"
        if not rules.protected:
            what = "distinct values of single columns" if form == "keys" else "single rows"
            yield f"To {who}: {what}."
        elif form == "aggregate":
            yield f"To {who}: masked parts of totals over several nodes, of which it learns the totals only."
        elif form == "keys":
            yield f"To {who}, where the permit says linkage: lists of persons under pseudonyms of the project."
        else:
            yield f"To {who}, where the permit says linkage: rows of persons under pseudonyms of the project."
        if rules.peers[peer].intersection == "required":
            yield (
                f"Of persons it learns of those alone whom it has itself, and of this table's persons it may tell this "
                f"node of no others; to have rows of its own matched, {peer} is told which of its persons are here."
            )


def _columns(rules: TableRules, table: schema.Table | None) -> Iterator[str]:
    if not rules.protected:
        hidden = [name for name, rule in rules.columns.items() if rule.role == "hidden"]
        if rules.other_columns == "hidden" and "other_columns" in rules.model_fields_set:
            shown = [name for name, rule in rules.columns.items() if rule.role != "hidden"]
            yield f"Columns: {', '.join(shown) or 'none'}; all others are hidden."
        elif hidden:
            yield f"Columns: all but {', '.join(hidden)}."
        return
    found = dict(roles_of(rules, table))
    person = (table.person_column or "") if table is not None else ""
    found = {name: rule for name, rule in found.items() if name.lower() != person.lower()}
    if person:
        yield f"Person: {person}, counted and joined on, never shown."
    keys = [name for name, rule in found.items() if rule.role in {"public", "group"}]
    keys += [f"{name} by {binned(rule.bin)}" for name, rule in found.items() if rule.bin]
    rest = "" if table is not None or rules.other_columns not in {"public", "group"} else ", and all that are not named"
    yield f"Results may be grouped by: {', '.join(keys) or 'nothing'}{rest}."
    for text, role in (
        ("Computed and filtered with, never grouped by", "measure"),
        ("Joined on and counted, nothing else", "link"),
    ):
        columns = [name for name, rule in found.items() if rule.role == role]
        if columns:
            yield f"{text}: {', '.join(columns)}."
    plain = [name for name, rule in found.items() if rule.role == "identifier" and not rule.bin]
    if plain:
        yield f"Potential identifiers without a bin, never grouped by: {', '.join(plain)}."
    if table is not None:
        hidden = [name for name, rule in found.items() if rule.role == "hidden"]
        if hidden:
            yield f"Hidden, may not even be named: {', '.join(hidden)}."
    else:
        yield f"All other columns: {rules.other_columns}."


def roles_of(rules: TableRules, table: schema.Table | None) -> Iterator[tuple[str, ColumnRule]]:
    """Yield the rule of every column that is known."""
    if table is None:
        yield from rules.columns.items()
        return
    given = {name.lower(): rule for name, rule in rules.columns.items()}
    for column in table.columns:
        yield column.name, given.get(column.name.lower(), ColumnRule(role=rules.other_columns))


def binned(text: str) -> str:
    """Return a bin in words.

    >>> binned("prefix:2"), binned("width:5"), binned("year")
    ('its first 2 characters', 'steps of 5', 'year')
    """
    word, _, number = text.partition(":")
    return {"prefix": f"its first {number} characters", "width": f"steps of {number}"}.get(word, text)


def _limits(rules: TableRules) -> Iterator[str]:
    if rules.coordinator == "none" and not rules.peers:
        return
    limits = rules.dominance
    yield (
        f"A sum is withheld when its {limits.top} largest contributors have more than {limits.share:.0%} of it, or "
        f"when the rest without the two largest is below {limits.p_percent:g} % of the largest; a variance or slope "
        f"below {limits.min_degrees} degrees of freedom."
    )
    if rules.rounding:
        yield f"Numbers are rounded to multiples of {rules.rounding}."
    if rules.noise is not None:
        yield (
            f"Numbers are perturbed, the same persons always alike: counts of persons by a standard deviation of "
            f"{rules.noise.deviation:g}, others by that times the largest part of one person."
        )
    if rules.privacy is not None:
        offered = rules.privacy
        only = ", and in no other way" if offered.only else ""
        summed = ", ".join(offered.bounds) or "no column"
        yield (
            f"Differential privacy is offered{only}: an epsilon of at most {offered.max_epsilon:g} and a delta of "
            f"{offered.delta:g} for each answer; a person is in at most {offered.groups_per_person} groups and adds at "
            f"most {offered.rows_per_person} rows to each; summed may be {summed}."
        )
    if "federation" in rules.threshold_scope:
        only = "" if "node" in rules.threshold_scope else ", and in no other way"
        yield f"Small groups here may be part of a total of all nodes, counted together under masks{only}."
    for codes in rules.sensitive:
        yield f"Groups with {codes.column} {', '.join(codes.prefixes)}…: at least {codes.min_persons} persons."
    if rules.match_rates == "rounded":
        yield "Results say, rounded, how many persons of this table found a match at another node."
    if rules.tell_withheld_count:
        yield "Results say how many groups were withheld here."


def _warnings(rules: TableRules, policy: Policy, name: str, table: schema.Table | None) -> Iterator[str]:
    if not rules.protected:
        if table is not None and table.person_column:
            yield f"it is not protected, but node.yaml names {table.person_column} as its person column"
        return
    weaker = rules.dominance.weaker()
    if weaker:
        yield f"limits on dominance are weakened: {', '.join(weaker)}; because: {rules.dominance.because}"
    if rules.coordinator == "sketch":
        yield "coordinator is sketch: whoever guesses a value can test a sketch for it"
    for peer, peer_rule in rules.peers.items():
        if peer_rule.form == "rows":
            yield f"the node {peer} gets rows of single persons, under pseudonyms, and is trusted to obey this policy"
    if rules.other_columns not in {"hidden", "link"}:
        yield f"other_columns is {rules.other_columns}: a column that the data gets later is open without a decision"
    if rules.privacy is not None and policy.node.privacy is None:
        yield "privacy is offered, but node.privacy is absent: there is no budget, so every such question is refused"
    if rules.privacy is not None and rules.privacy.max_epsilon > LARGE_EPSILON:
        yield f"max_epsilon is over {LARGE_EPSILON:g}: such an answer hides next to nothing of a person"
    if rules.tell_withheld_count:
        yield "tell_withheld_count tells that small groups exist, and how many"
    if policy.approval_of(name) == "auto" and policy.node.approval != "auto":
        yield f"approval is auto here, though it is {policy.node.approval} for the node"
    types = {column.name.lower(): column.type.upper() for column in table.columns} if table is not None else {}
    person = (table.person_column or "").lower() if table is not None else ""
    for column, rule in roles_of(rules, table):
        kind = types.get(column.lower(), "")
        if column.lower() == person:
            continue
        if rule.role in {"public", "group"} and (kind.startswith(_DATES) or POTENTIAL_IDENTIFIER.search(column)):
            yield f"{column} looks like a potential identifier, and results may be grouped by it: give it a bin"
        if rule.bin and kind and not _fits(rule.bin, kind):
            yield f"{column} is {kind}: the bin {rule.bin} does not fit it"


def _fits(text: str, kind: str) -> bool:
    if text in {"year", "quarter", "month"}:
        return kind.startswith(_DATES)
    if text.startswith("prefix:"):
        return kind == "VARCHAR"
    return kind in _NUMBERS or kind.startswith(("DECIMAL", "FLOAT", "DOUBLE"))
