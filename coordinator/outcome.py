"""What a result says besides its rows: who answered, what was withheld or is missing, and whether it is complete. Pure.

A result never lacks anything silently. Where a node does not tell what it withheld, that is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from archipel import tokens
from archipel.rounds import MIN_CONTRIBUTORS, Step
from archipel.schema import Form
from archipel.v1 import common_pb2, query_pb2
from coordinator import noise_told, rates_told
from coordinator.deliveries import Delivery, Withheld
from coordinator.measures import seals_persons
from coordinator.plan import Plan
from coordinator.withdrawn import not_offered


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is known of the nodes that a query could have asked.

    ``missing`` were left out (of those, ``withdrawn`` are there and do not offer tables that were needed, which are
    named), ``never_attached`` have never told what they hold; ``clock_offsets_ms`` by node.
    """

    holders: Mapping[str, str]
    missing: frozenset[str] = frozenset()
    never_attached: frozenset[str] = frozenset()
    clock_offsets_ms: Mapping[str, int] | None = None
    withdrawn: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def result_info(
    plan: Plan,
    deliveries: Mapping[tuple[str, str], Delivery],
    coverage: Coverage,
    *,
    merged_by: str,
    elapsed_ms: float,
) -> query_pb2.ResultInfo:
    """Return the provenance of a result. ``deliveries`` is keyed by (stage, node)."""
    by_node: dict[str, list[Delivery]] = {}
    for (_, node), delivery in sorted(deliveries.items(), key=lambda item: item[0]):
        by_node.setdefault(node, []).append(delivery)
    info = query_pb2.ResultInfo(complete=True, merged_by=merged_by, elapsed_ms=elapsed_ms)
    info.crossings.extend(_crossings(plan, deliveries))
    crossed: Counter[str] = Counter()
    for crossing in info.crossings:
        crossed[crossing.sender] += crossing.bytes if crossing.receiver != crossing.sender else 0
    for node in sorted(by_node.keys() | coverage.missing):
        holder = coverage.holders.get(node, "")
        if node in coverage.missing:
            info.nodes.append(query_pb2.NodeOutcome(node=node, holder=holder, outcome="unavailable"))
            continue
        outcome, notice = _outcome(node, holder, by_node[node], crossed[node], _contributors(plan, node))
        info.nodes.append(outcome)
        if notice is not None:
            info.notices.append(notice)
            info.complete = False
        for note in dict.fromkeys(note for delivery in by_node[node] for note in delivery.notes):
            text = f"Node '{node}': {note.text.rstrip('.')}."
            noise, rate = noise_told.read(note), rates_told.read(note)
            info.notices.append(query_pb2.Notice(kind=note.kind, text=text, node=node, noise=noise, match_rate=rate))
    told = [(node, note) for node, found in by_node.items() for delivery in found for note in delivery.notes]
    info.notices.extend(noise_told.of_totals(told))
    for notice in _coverage_notices(coverage):
        info.notices.append(notice)
        info.complete = False
    info.notices.extend(_clock_notices(by_node, coverage.clock_offsets_ms or {}))
    for node in sorted(by_node):
        info.receipts.extend(common_pb2.Receipt(token=token) for d in by_node[node] for token in d.receipts if token)
    return info


def _crossings(plan: Plan, deliveries: Mapping[tuple[str, str], Delivery]) -> Iterable[query_pb2.Crossing]:
    for (stage_id, node), delivery in sorted(deliveries.items(), key=lambda item: item[0]):
        exchanges = [exchange for exchange in plan.exchanges if exchange.source == stage_id]
        if not delivery.sealed:
            form = exchanges[0].form if exchanges else Form.ROWS  # what is the result itself crosses as rows
            exchange_id = exchanges[0].exchange_id if exchanges else ""
            yield query_pb2.Crossing(
                exchange_id=exchange_id, sender=node, form=form.name.lower(), bytes=delivery.wire_bytes
            )
            continue
        forms = {exchange.exchange_id: exchange.form.name.lower() for exchange in exchanges}
        told = not seals_persons(plan, plan.stage(stage_id))
        for (exchange_id, receiver), stream in delivery.sealed.items():
            crossing = query_pb2.Crossing(
                exchange_id=exchange_id, sender=node, receiver=receiver, form=forms[exchange_id]
            )
            if told:
                crossing.bytes = stream.wire_bytes
            yield crossing


def _contributors(plan: Plan, node: str) -> int:
    """Return over how many nodes a node released a total; 0 when what it released is its own."""
    steps = [stage.round for stage in plan.stages if stage.round is not None]
    return max((len(s.contributors) for s in steps if s.step is Step.RELEASE and s.aggregator == node), default=0)


def _outcome(
    node: str, holder: str, deliveries: list[Delivery], bytes_crossed: int, contributors: int
) -> tuple[query_pb2.NodeOutcome, query_pb2.Notice | None]:
    withheld = _together([d.withheld for d in deliveries])
    nothing = not any(d.table is None or d.table.num_rows for d in deliveries)  # nobody here knows what is sealed
    outcome = query_pb2.NodeOutcome(
        node=node,
        holder=holder,
        outcome="withheld" if nothing and withheld.groups else "released",
        bytes_crossed=bytes_crossed,
        engine_ms=max(d.engine_ms for d in deliveries),
        withheld=common_pb2.Withheld(threshold_applied=withheld.applied, min_persons=withheld.min_persons),
    )
    if withheld.groups is not None:
        outcome.withheld.groups = withheld.groups
    if not withheld.applied or withheld.groups == 0:
        return outcome, None
    fewer = f"fewer than {withheld.min_persons} persons"
    if contributors:
        told = "Some" if withheld.groups is None else f"{withheld.groups:,}"
        text = (
            f"{told} groups may be missing from the total over {contributors} nodes: of {fewer}, of fewer than "
            f"{MIN_CONTRIBUTORS} nodes, or for the most part of one node."
        )
    elif withheld.groups is None:
        text = (
            f"Node '{node}' may have withheld groups of {fewer} and does not tell how many: "
            "totals over what it holds may be lower bounds."
        )
    else:
        number = "1 group" if withheld.groups == 1 else f"{withheld.groups:,} groups"
        text = f"Node '{node}' withheld {number} of {fewer}: totals over what it holds are lower bounds."
    return outcome, query_pb2.Notice(kind="suppression", text=text, node=node)


def _together(parts: Iterable[Withheld]) -> Withheld:
    applied = [part for part in parts if part.applied]
    told = [part.groups for part in applied if part.groups is not None]
    return Withheld(
        applied=bool(applied),
        min_persons=max((part.min_persons for part in applied), default=0),
        groups=sum(told) if applied and len(told) == len(applied) else None,
    )


def _coverage_notices(coverage: Coverage) -> Iterable[query_pb2.Notice]:
    for node in sorted(coverage.missing):
        tables = coverage.withdrawn.get(node)
        what = not_offered(node, tables) if tables else f"Node '{node}' was not available"
        text = f"{what}: the result is without what it holds."
        yield query_pb2.Notice(kind="coverage", text=text, node=node)
    for node in sorted(coverage.never_attached - coverage.missing):
        text = f"Node '{node}' has never been attached; whether it holds rows of these tables is not known."
        yield query_pb2.Notice(kind="coverage", text=text, node=node)


def _clock_notices(nodes: Iterable[str], offsets_ms: Mapping[str, int]) -> Iterable[query_pb2.Notice]:
    for node in sorted(nodes):
        apart_s = abs(offsets_ms.get(node, 0)) / 1000
        if apart_s > tokens.CLOCK_SKEW_S:
            text = f"The clock of node '{node}' and the coordinator's are {apart_s:.0f} s apart."
            yield query_pb2.Notice(kind="clock", text=text, node=node)
