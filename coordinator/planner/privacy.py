"""Differential privacy and noise in a plan: what can be answered so, and what EXPLAIN says of the noise beforehand.

The plan is made as for an exact answer: the nodes give partial counts and sums, with noise, and all that is done with
these afterwards is done with noisy numbers. Here is checked that each node is asked for one statement about persons,
since a request buys one noisy answer from each; the nodes check it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import sqlglot
from sqlglot import exp

from archipel import errors
from archipel.border import BorderContext, check
from archipel.border.decision import Release
from archipel.certificate import DIALECT
from archipel.noise import Perturbed, Private, about_threshold, half_width_of_sum, laplace_half_width
from archipel.permit import Permit
from archipel.request import Request
from archipel.schema import Column
from coordinator.catalog import Catalog
from coordinator.plan import Plan, Stage, StageKind

NOTHING_PRIVATE = "No table about persons is read: the answer is exact, and costs nothing of a budget."
OF_MEANS = "A mean is a sum with noise divided by a count with noise."


def with_noise(plan: Plan, catalog: Catalog, permit: Permit, request: Request) -> Plan:
    """Return the plan with what is to be said of the noise in its answer.

    Raises:
        ArchipelError: SQL_UNSUPPORTED when a private answer would need several statements about persons.
    """
    nodes = [stage for stage in plan.stages if stage.kind is StageKind.NODE and stage.round is None]
    stages = [stage for stage in nodes if _is_noisy(stage, catalog, private=request.privacy is not None)]
    if request.privacy is not None:
        if len(stages) > 1:
            raise errors.error(
                errors.SQL_UNSUPPORTED,
                "A differentially private answer is made of one aggregating statement over tables of persons; this "
                "query needs several.",
                hint="Ask each of them in a query of its own.",
            )
        if not stages:
            return replace(plan, notes=(*plan.notes, NOTHING_PRIVATE))
    told: list[str] = []
    for stage in stages:
        releases = {site: _release(plan, stage, site, catalog, permit, request) for site in stage.sites}
        privates = {site: r.private for site, r in releases.items() if r.private is not None}
        perturbed = {site: r.perturbed for site, r in releases.items() if r.perturbed is not None}
        if privates:
            told += list(_private_notes(privates))
        if perturbed:
            told.append(_perturbed_note(perturbed))
    return replace(plan, notes=(*plan.notes, *dict.fromkeys(told)))


def _is_noisy(stage: Stage, catalog: Catalog, *, private: bool) -> bool:
    """Whether a stage reads tables about persons, and answers about them with noise."""
    noisy = {
        name
        for name, entry in catalog.tables.items()
        if entry.table.policy.protected and (private or any(s.policy.deviation for s in entry.shards.values()))
    }
    if not noisy:
        return False
    return any(table.name.lower() in noisy for table in sqlglot.parse_one(stage.sql, read=DIALECT).find_all(exp.Table))


def _release(plan: Plan, stage: Stage, site: str, catalog: Catalog, permit: Permit, request: Request) -> Release:
    """Return what the border check says of a stage at a site, which it has let through before."""
    tables = {name: entry.shards[site] for name, entry in catalog.tables.items() if site in entry.shards}
    sent = {exchange.exchange_id: plan.stage(exchange.source).columns for exchange in plan.exchanges}
    inputs = {name.lower(): tuple(Column(c.name, c.type) for c in sent[name]) for name in stage.inputs}
    return check(stage.sql, BorderContext(site, tables, inputs, permit, rewrites=False, privacy=request.privacy))


def _private_notes(privates: Mapping[str, Private]) -> Iterable[str]:
    for private in dict.fromkeys(privates.values()):
        here = [site for site, other in privates.items() if other == private]
        threshold = about_threshold(
            private.min_persons, private.persons_scale, private.groups_per_person, private.delta
        )
        yield (
            f"Differential privacy at {', '.join(here)}: epsilon {private.epsilon:g} and delta {private.delta:g} for "
            f"each person at each node. 95 % of the noise of a node is within: {_widths(private)}. Groups of fewer "
            f"than about {threshold} persons are not shown; a person is in at most {private.groups_per_person} groups."
        )
    if len(privates) > 1:
        labels = dict.fromkeys(column.label for private in privates.values() for column in private.columns)
        totals = ", ".join(f"{label} ± {_total(label, privates.values()):.3g}" for label in labels)
        yield (
            f"A person at several of the {len(privates)} nodes has the sum of their epsilons. Of totals over all of "
            f"them 95 % of the noise is within: {totals or 'that of persons, times the square root of their number'}."
        )
    yield OF_MEANS


def _widths(private: Private) -> str:
    widths = [f"{column.label} ± {private.half_width(column):g}" for column in private.columns]
    if private.persons_outputs:
        widths.append(f"count(DISTINCT person) ± {laplace_half_width(private.persons_scale)}")
    return ", ".join(widths) or "nothing"


def _total(label: str, privates: Iterable[Private]) -> float:
    scales = [p.scale(c) / c.per_unit for p in privates for c in p.columns if c.label == label]
    return half_width_of_sum(scales)


def _perturbed_note(perturbed: Mapping[str, Perturbed]) -> str:
    largest = max(described.deviation for described in perturbed.values())
    return (
        f"Numbers of {', '.join(perturbed)} are perturbed there: counts of persons by whole numbers with a standard "
        f"deviation of up to {largest:g}, others by that times the largest part of one person. The same persons always "
        "get the same noise, and totals are not the sums of their parts."
    )
