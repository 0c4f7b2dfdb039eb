"""One node's part in rounds: takes a step of a round as a task, checks it, and says what is sent to whom.

docs/federated-threshold.md tells the protocol. A node does each step of a round once and in order; what does not fit
ends the round for this node, and with it for all. State is in memory: a restart ends a round. What must outlast it,
over which nodes a total was made, is in ``scope_book``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pyarrow as pa

from archipel import errors, frames, masking, sealing, tokens
from archipel.border import BorderContext, check
from archipel.border.decision import Release
from archipel.border.masked import ROUND_TABLE, RULE
from archipel.border.measures import Populations
from archipel.rounds import KEY_BYTES, Round, RoundStep, Step
from archipel.schema import COORDINATOR, Form, Scope
from archipel.sealing import Header, StreamId
from node_agent import ledger_reading, scope_ledger
from node_agent.authorise import Asked
from node_agent.engine.base import Engine
from node_agent.ledger import Answer, Ledger
from node_agent.ledger_rows import Groups
from node_agent.order import TaskOrder, Withheld
from node_agent.parcels import Parcel
from node_agent.scope_book import Entry, RoundBook
from node_agent.scope_contribution import Contribution, Shown, places_from
from node_agent.scope_messages import COLUMNS, obliges, packed, unpacked
from node_agent.scope_total import COMPARED, Total
from node_agent.sealed import Peers, Sender, padded

MAX_ROUNDS = 32
"""Of which a node keeps numbers in memory at once."""

MAX_ROUND_S = 900.0
"""So long numbers are kept of a round that does not come to its end."""

_PARTS: Mapping[Step, tuple[str, ...]] = {
    Step.KEY: ("secret", "seed"),
    Step.LABELS: ("description", "demands", "key", "check", "labels"),
    Step.LIST: ("keys", "labels", "compare"),
    Step.VALUES: ("agreed", "numbers"),
    Step.TOTALS: Shown.PARTS,
    Step.VETO: ("struck", "sketches"),
    Step.VERDICT: ("left",),
    Step.OPEN: ("groups",),
}
"""What the messages of each step hold."""

_RULES: Mapping[Step, str] = {
    Step.KEY: "a round's secret for those who contribute to it",
    Step.LABELS: "keyed hashes of groups",
    Step.LIST: "keyed hashes of all groups of a round",
    Step.VALUES: RULE,
    Step.TOTALS: "totals over nodes of groups with enough persons",
    Step.VETO: "which groups a node strikes from a total",
    Step.VERDICT: "which groups are left of a total",
    Step.OPEN: "what the groups of a total with enough persons are called",
    Step.RELEASE: "protected tables: totals over several nodes of groups with enough persons may leave",
}


class Services(Protocol):
    """What a step needs of the task that it is."""

    def receive(self, exchange_id: str, sender: Sender) -> pa.Table:
        """Return what a node sealed for this task."""

    def run(self, release: Release, data: Mapping[str, Any]) -> pa.Table:
        """Return what a statement gives, once whatever guards the node lets it run."""

    def gather(
        self, release: Release, data: Mapping[str, Any], take: Callable[[pa.RecordBatchReader], Groups]
    ) -> Groups:
        """Return what is made of the rows of a further statement, over those of one that was let run before."""

    def stream_id(self, exchange_id: str, receiver: str) -> StreamId:
        """Return the identity of a stream of this task."""

    def note(self, facts: Mapping[str, Any]) -> None:
        """Have the task's audit record say something."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a step sends, and what the audit log says of it."""

    parcels: tuple[Parcel, ...]
    release: Release
    withheld: Withheld
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Rounds:
    """The rounds that a node takes part in. Safe to use from several threads."""

    node: str
    federation: str
    peers: Peers
    book: RoundBook
    ledger: Callable[[], Ledger | None]
    now: Callable[[], float]
    _contributions: dict[bytes, Contribution] = field(default_factory=dict)
    _totals: dict[bytes, Total] = field(default_factory=dict)
    _ends: dict[bytes, float] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def run(self, order: TaskOrder, asked: Asked, engine: Engine, services: Services) -> Sent:
        """Do a step. ``order`` has one, and is authorised.

        Raises:
            ArchipelError: why the step is not done; then the round is void for this node.
        """
        step = order.round
        assert step is not None
        round_ = self._round(order, step, asked)
        with self._mutex:
            self._forget_old()
        work = _Step(self, order, step, round_, asked, engine, services)
        try:
            return work.done()
        except errors.ArchipelError as problem:
            if problem.info.code not in {errors.NODE_BUSY, errors.NODE_CHANGED}:
                self.forget(round_.digest, contribution=not step.step.at_aggregator)
            raise

    def _round(self, order: TaskOrder, step: RoundStep, asked: Asked) -> Round:
        """Return which round a step belongs to, if its parties are what they must be."""
        problem = step.problem()
        if problem:
            raise errors.error(errors.POLICY_REFUSED, problem, hint='Ask more nodes, or with threshold_scope="node".')
        if self.node not in step.sites():
            raise errors.error(errors.BAD_REQUEST, "The step of the round is another node's.")
        if asked.request.threshold_scope != Scope.FEDERATION.value:
            raise errors.error(errors.POLICY_REFUSED, "The researcher did not ask for a total over nodes.")
        for node in (*step.contributors, step.aggregator):
            self.peers.key_of(node)
            if node not in asked.permit.nodes:
                raise errors.error(errors.PERMIT_SCOPE, "The permit does not name a node of the round.")
        receivers = [output.nodes for output in order.outputs]
        senders = [tuple(sender.node for sender in order.senders.get(name, ())) for name in order.inputs]
        if receivers != ([step.receivers] if step.receivers else []) or senders != (
            [step.senders] if step.senders else []
        ):
            raise errors.error(errors.BAD_REQUEST, "The messages of the step are not from and to those who take part.")
        return Round(
            federation=self.federation,
            query_id=order.query_id,
            permit_id=asked.permit.permit_id,
            request_sha256=tokens.digest(order.request),
            sql_sha256=tokens.digest(order.sql),
            contributors=step.contributors,
            aggregator=step.aggregator,
            bitmaps=step.bitmaps,
        )

    def released_alone(self, asked: Asked, release: Release, engine: Engine) -> None:
        """Write down that this node releases something by itself, of tables that could be in totals, too.

        Raises:
            ArchipelError: POLICY_REFUSED when they were, under the same permit: the totals less what other nodes
                release by themselves would be this one's small groups.
        """
        tables = {table.name.lower(): table for table in engine.tables()}
        in_totals = [
            name
            for name in release.tables
            if tables[name.lower()].policy.protected and Scope.FEDERATION in tables[name.lower()].policy.scopes
        ]
        if in_totals:
            self.book.enter(Entry.of(asked.permit.permit_id, in_totals, "", (self.node,)))

    # State

    def begin(self, digest: bytes, state: Contribution | Total, until: float) -> None:
        """Keep the state of a round that begins here.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when it has begun already; NODE_BUSY.
        """
        with self._mutex:
            held = self._contributions if isinstance(state, Contribution) else self._totals
            if digest in held:
                raise sealing.refused("the round has begun already")
            if len(self._ends) >= MAX_ROUNDS and digest not in self._ends:
                raise errors.error(errors.NODE_BUSY, "The node takes part in as many rounds as it can.")
            self._ends[digest] = until
            if isinstance(state, Contribution):
                self._contributions[digest] = state
            else:
                self._totals[digest] = state

    def contribution(self, digest: bytes, step: Step) -> Contribution:
        """Return this node's part of a round whose next step is ``step``, which nobody else can take then.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when it is not.
        """
        with self._mutex:
            found = self._contributions.get(digest)
            if found is None or _following(found.done) is not step:
                raise sealing.refused("the round is not at this step")
            found.done = step
            return found

    def total(self, digest: bytes, step: Step) -> Total:
        """Return the total of a round whose next step is ``step``, which nobody else can take then.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when it is not.
        """
        with self._mutex:
            found = self._totals.get(digest)
            if found is None or _following(found.done) is not step:
                raise sealing.refused("the round is not at this step")
            found.done = step
            return found

    def forget(self, digest: bytes, *, contribution: bool) -> None:
        """Drop what is kept of a round, as contributor or as aggregator."""
        with self._mutex:
            (self._contributions if contribution else self._totals).pop(digest, None)
            if digest not in self._contributions and digest not in self._totals:
                self._ends.pop(digest, None)

    def _forget_old(self) -> None:
        for digest in [digest for digest, end in self._ends.items() if end < self.now()]:
            del self._ends[digest]
            self._contributions.pop(digest, None)
            self._totals.pop(digest, None)


def _following(step: Step) -> Step | None:
    """Return the same party's next step."""
    steps = [other for other in Step if other.at_aggregator is step.at_aggregator]
    number = steps.index(step) + 1
    return steps[number] if number < len(steps) else None


@dataclass(slots=True)
class _Step:
    """One step of one round at this node."""

    rounds: Rounds
    order: TaskOrder
    step: RoundStep
    round: Round
    asked: Asked
    engine: Engine
    services: Services

    def done(self) -> Sent:
        """Do it."""
        match self.step.step:
            case Step.KEY:
                ledger = scope_ledger.needed(self.rounds.ledger())
                return self._sent({"secret": os.urandom(KEY_BYTES), "seed": scope_ledger.seed_of(ledger, self.round)})
            case Step.LABELS:
                return self._labels()
            case Step.LIST:
                return self._list()
            case Step.RELEASE:
                return self._release()
            case Step.TOTALS | Step.VERDICT:
                return self._at_aggregator()
            case _:
                return self._at_contributor()

    # Contributors

    def _labels(self) -> Sent:
        (message,) = self._messages()
        if len(message["secret"]) != KEY_BYTES:
            raise sealing.refused("its secret is none")
        release = self._decided()
        assert release.masked is not None
        digest = self.round.digest
        keys = {
            "label": masking.label_key(message["secret"], digest).hex(),
            "person": masking.person_key(message["secret"], digest).hex(),
        }
        table = self.services.run(release, {ROUND_TABLE: pa.table({name: [key] for name, key in keys.items()})})
        rules = scope_ledger.needed(self.rounds.ledger()).rules
        contribution = Contribution(
            self.round,
            self.rounds.node,
            release,
            table,
            message["secret"],
            message["seed"],
            compares=rules.differences == "refuse",
            state=self.engine.state_of(release.tables),
        )
        parts = contribution.labels()
        self.rounds.begin(digest, contribution, self._until())
        population, nodes = release.masked.population, self.round.contributors
        entry = Entry.of(self.round.permit_id, release.tables, population, nodes, self.round.aggregator)
        self.rounds.book.enter(entry, may_add_up=self._may_add_up(release))
        return self._sent(parts, release)

    def _may_add_up(self, release: Release) -> frozenset[str]:
        """Return who may add up totals of all tables that a statement reads."""
        by_name = {table.name.lower(): table.policy for table in self.engine.tables()}
        policies = [policy for name in release.tables if (policy := by_name[name.lower()]).protected]
        nodes = {node for policy in policies for node, _ in policy.peer_forms}
        allowed = {node for node in nodes if all(policy.form_to(node) >= Form.AGGREGATE for policy in policies)}
        return frozenset({*allowed, self.rounds.node})

    def _decided(self) -> Release:
        """Decide at the border what this node may contribute, and whether the aggregator may add it up."""
        tables = {table.name.lower(): table for table in self.engine.tables()}
        release = check(
            self.order.sql,
            BorderContext(
                node=self.rounds.node,
                tables=tables,
                inputs={},
                permit=self.asked.permit,
                scope=Scope.FEDERATION,
                bitmaps=self.step.bitmaps,
                for_ledger=True,
            ),
        )
        if release.masked is None:
            raise errors.error(errors.BORDER_REFUSED, "There is no threshold to hold: no table here is about persons.")
        for name in release.tables:
            policy = tables[name.lower()].policy
            aggregator = self.step.aggregator
            if policy.protected and aggregator != self.rounds.node and policy.form_to(aggregator) < Form.AGGREGATE:
                raise errors.error(
                    errors.POLICY_REFUSED,
                    f"Policy does not let node '{aggregator}' add up totals of the table '{name}'.",
                    hint="The holder names it among the table's peers, with 'aggregate'.",
                )
        return release

    def _at_contributor(self) -> Sent:
        contribution = self.rounds.contribution(self.round.digest, self.step.step)
        (message,) = self._messages()
        if self.step.step is Step.VALUES:
            others = {n: self.rounds.peers.key_of(n) for n in self.round.contributors if n != self.rounds.node}
            own = self.rounds.peers.own_key()
            contribution.compared = message["compare"] == COMPARED
            if contribution.compares and not contribution.compared:
                raise errors.error(errors.LEDGER_UNAVAILABLE, "The total is not compared with earlier ones.")
            parts = contribution.values(message["keys"], message["labels"], own, others)
        elif self.step.step is Step.VETO:
            shown = Shown.from_parts(message, contribution.layout, contribution.listed)
            parts = contribution.veto(shown, lambda asked: self._read(contribution, asked))
        else:
            parts = contribution.opened(places_from(message["left"], contribution.listed))
            self.rounds.forget(self.round.digest, contribution=True)
        return self._sent(parts, contribution.release)

    def _read(self, contribution: Contribution, asked: Populations) -> Groups:
        """Run a statement of populations over the rows that the node's numbers are of."""
        release = contribution.release

        def gather(sql: str, more: Mapping[str, pa.Table], take: Callable[[pa.RecordBatchReader], Groups]) -> Groups:
            return self.services.gather(replace(release, sql=sql), more, take)

        found = ledger_reading.gathered(asked, scope_ledger.persons_key(contribution.seed), gather)
        if self.engine.state_of(release.tables) != contribution.state:
            self.rounds.forget(self.round.digest, contribution=True)
            raise errors.error(errors.NODE_CHANGED, "The node's data changed during the round.")
        return found

    # The aggregator

    def _list(self) -> Sent:
        messages = dict(zip(self.step.senders, self._messages(), strict=True))
        rules = scope_ledger.needed(self.rounds.ledger()).rules
        mine = rules.differences == "refuse"
        total = Total.begun(self.round, messages, self.asked.permit.min_persons, compare=mine)
        if total.compared and not mine:
            raise errors.error(errors.LEDGER_UNAVAILABLE, "The node that adds up does not compare totals.")
        self.rounds.begin(self.round.digest, total, self._until())
        return self._sent(total.list_parts())

    def _at_aggregator(self) -> Sent:
        total = self.rounds.total(self.round.digest, self.step.step)
        if self.step.step is Step.VERDICT:
            return self._sent(total.judged(self._messages()))
        parts = total.add_up(self._messages())
        most = scope_ledger.needed(self.rounds.ledger()).rules.max_cells_per_answer
        if total.compared and len(total.passing) > most:
            text = f"The total has more than the {most:,} groups that the node that adds up compares."
            raise errors.error(errors.RESULT_TOO_LARGE, text)
        return self._sent(parts)

    def _release(self) -> Sent:
        total = self.rounds.total(self.round.digest, Step.RELEASE)
        table = total.released(self._messages())
        self.rounds.forget(self.round.digest, contribution=False)
        entered = scope_ledger.needed(self.rounds.ledger()).enter(
            scope_ledger.question_of(self.round, total.states),
            Answer(table, total.withheld, None),
            total.sketches(table),
            total.min_persons,
            permit=self.asked.permit,
            about={"researcher": self.asked.researcher, "query": self.order.query_id},
            now=self.rounds.now(),
            note=self.services.note,
        )
        assert entered is not None  # it is only where an answer is part of a linked table
        answer = entered.answer
        release = self._as_release(total.min_persons)
        told = answer.withheld if total.tell_withheld_count else None
        parcel = Parcel("", COORDINATOR, release, list(frames.encode_table(answer.output)))
        facts = {"min_persons": total.min_persons, "rows": answer.output.num_rows, "withheld_groups": answer.withheld}
        return Sent(
            (parcel,), release, Withheld(True, total.min_persons, told), self._facts() | facts | entered.facts()
        )

    def _until(self) -> float:
        return self.rounds.now() + min(self.asked.request.timeout_s, MAX_ROUND_S)

    # Messages

    def _messages(self) -> list[dict[str, bytes]]:
        """Return what those before sent, in their order."""
        before = self.step.step.before
        assert before is not None
        ((exchange_id, senders),) = self.order.senders.items()
        return [
            unpacked(self.services.receive(exchange_id, sender), before, self.round.digest, _PARTS[before])
            for sender in senders
        ]

    def _sent(self, parts: Mapping[str, bytes], release: Release | None = None) -> Sent:
        """Return the same message for every receiver of the step."""
        table = packed(self.step.step, self.round.digest, parts)
        content = padded(list(frames.encode_table(table)))
        release = release or self._as_release(self.asked.permit.min_persons)
        (output,) = self.order.outputs
        parcels = []
        for node in output.nodes:
            header = Header(self.services.stream_id(output.exchange_id, node), COLUMNS, obliges())
            parcels.append(Parcel(output.exchange_id, node, release, content, header))
        return Sent(tuple(parcels), release, Withheld(False, 0, None), self._facts())

    def _as_release(self, min_persons: int) -> Release:
        """Return what receipts and the audit log say of a step that runs no statement."""
        return Release(
            sql=self.order.sql,
            form=Form.AGGREGATE,
            protected=True,
            min_persons=min_persons,
            tables=(),
            columns=(),
            rule=_RULES[self.step.step],
            withheld_column=None,
            persons_column=None,
            tell_withheld_count=False,
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "round": self.round.digest.hex(),
            "round_step": self.step.step.value,
            "contributors": self.round.contributors,
            "aggregator": self.round.aggregator,
        }
