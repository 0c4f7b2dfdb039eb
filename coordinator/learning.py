"""Who learns what by each exchange between holders, in sentences for people: part of every plan's JSON form. Pure."""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from archipel.certificate import DIALECT
from archipel.intersection import IntersectionStep, Step
from archipel.schema import Form
from coordinator.plan import Exchange, Plan, Stage

_ROUGHLY = "rounded up by 12 % at most, and to 256 at least"


def learned(plan: Plan, exchange: Exchange) -> tuple[str, ...]:
    """Return who learns what by an exchange from nodes to nodes; nothing of any other one."""
    if not plan.is_sealed(exchange):
        return ()
    source, target = plan.stage(exchange.source), plan.stage(exchange.target)
    if source.round is not None:
        return (f"{_named(target.sites)} is sent {exchange.rule}.",)
    if source.intersection is not None:
        return _by_intersection(source, source.intersection, exchange)
    senders = tuple(node for node in source.sites if target.sites != (node,))
    what = _columns(source, exchange)
    if exchange.certificate is None or not exchange.certificate.min_persons:
        return (f"{_named(target.sites)} learns {what} of rows of {_named(senders)} that are not about persons.",)
    only = "which persons" if exchange.form is Form.KEYS else what
    return (
        f"{_named(target.sites)} learns {only} of every person whom the statement leaves at {_named(senders)}, also of "
        "those whom it does not have itself, who are pseudonyms of this project to it.",
        "The coordinator learns who sends to whom, and the padded size.",
    )


def _by_intersection(source: Stage, step: IntersectionStep, exchange: Exchange) -> tuple[str, ...]:
    senders, receivers = _named(step.senders), _named(step.receivers)
    match step.step:
        case Step.ASK:
            return (
                f"{receivers} learns about how many persons the statement leaves at {senders} ({_ROUGHLY}), and of "
                "nobody who it is.",
            )
        case Step.ANSWER:
            tables = sorted({t.name for t in sqlglot.parse_one(source.sql, read=DIALECT).find_all(exp.Table)})
            where = " and ".join(f"'{table}'" for table in tables)
            return (
                f"{senders} learns which of its own persons {receivers} has in {where}, and about how many that holds "
                f"({_ROUGHLY}); nothing else of them, and nothing of others.",
            )
        case Step.SEND:
            least = exchange.certificate.min_persons if exchange.certificate is not None else 0
            return (
                f"{receivers} learns {_columns(source, exchange)} of those persons of {senders} whom it has itself, "
                f"and nothing of others; of a sender with fewer than {least} persons in both nothing at all, as if "
                "there were none.",
                "The coordinator learns who sends to whom, and padded sizes.",
            )


def _columns(stage: Stage, exchange: Exchange) -> str:
    return ", ".join(column.name for column in stage.columns if column.name != exchange.part_column)


def _named(nodes: tuple[str, ...]) -> str:
    """Return nodes in words.

    >>> _named(("a",)), _named(("a", "b"))
    ("'a'", "each of 'a', 'b'")
    """
    listed = ", ".join(f"'{node}'" for node in nodes)
    return listed if len(nodes) == 1 else f"each of {listed}"
