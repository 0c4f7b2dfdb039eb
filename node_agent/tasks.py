"""One task from arrival to release: authorise, check at the border, run, audit, only then hand out.

The order is the point of this module: no byte leaves before the audit record that tells of it is on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from archipel import errors, receipt, telemetry, tokens
from archipel.border.decision import Release
from archipel.linkage import PADS_TABLE
from archipel.schema import COORDINATOR, Table
from archipel.sealing import StreamId
from node_agent import intersecting, lattice, ledger_task, match_rates, perturbation, privacy, scope, sealed
from node_agent.audit import AuditLog
from node_agent.authorise import Asked, authorise
from node_agent.cancellation import Cancellation
from node_agent.decisions import Decisions
from node_agent.engine.base import Engine
from node_agent.evidence import KEPT, NAMED_ANYWAY, Grounds
from node_agent.gate import Gate, content_digest
from node_agent.intersecting import Intersections
from node_agent.keeping import Keeping
from node_agent.ledger import Answer, Ledger
from node_agent.ledger_rows import Groups
from node_agent.order import Note, Released, Stream, TaskOrder, Withheld, check_names
from node_agent.parcels import Parcel, packed
from node_agent.privacy_store import PrivacyStore
from node_agent.running import Running
from node_agent.scope import Rounds
from node_agent.scope_book import RoundBook
from node_agent.sealed import Peers, Pull, Received, ReceiveLimits, Sender
from node_agent.task_facts import asked_facts, order_facts, received_facts, release_facts

log = logging.getLogger(__name__)

Taken = TypeVar("Taken")

PROTECTED_FAILURE = "A statement over protected tables failed; why is not told."
PROTECTED_FAILURE_HINT = "Usual causes are a CAST (TRY_CAST gives NULL instead) and arithmetic out of range."
"""Always the same two texts: which failure it was would tell about the values."""

_SAYS_WHY = frozenset({errors.SQL_EXECUTION, errors.NODE_EXECUTION})


@dataclass(slots=True)
class TaskRunner:
    """What all tasks of a node share."""

    node: str
    federation: str
    authority_key: Ed25519PublicKey
    signing_key: Ed25519PrivateKey
    engine: Engine
    audit: AuditLog | None
    statement_timeout_s: float
    max_release_bytes: int
    checkpoint_in_receipts: bool = False
    compress: bool = False
    peers: Peers = field(default_factory=lambda: Peers({}))
    receive_limits: ReceiveLimits = field(default_factory=ReceiveLimits)
    gate: Gate = field(default_factory=Gate.open)
    grounds: Grounds | None = None
    ledger: Ledger | None = None
    """What was answered before. Without it no groups of persons leave."""
    budgets: PrivacyStore | None = None
    """What private answers have told. Without it there are none, nor such with noise."""
    running: Running = field(default_factory=Running)
    now: Callable[[], float] = time.time
    book: RoundBook = field(default_factory=RoundBook)
    _rounds: Rounds = field(init=False)
    _intersections: Intersections = field(init=False)
    _decisions: Decisions = field(init=False)
    _keeping: Keeping = field(default_factory=Keeping)

    def __post_init__(self) -> None:
        self._decisions = Decisions(self.node)
        self._rounds = Rounds(
            self.node, self.federation, self.peers, self.book, lambda: self.ledger, lambda: self.now()
        )
        self._intersections = Intersections(self.node, self.peers, self.compress, lambda: self.now())

    def run(
        self,
        order: TaskOrder,
        inputs: Mapping[str, pa.Table],
        cancellation: Cancellation | None = None,
        pull: Pull | None = None,
    ) -> Released:
        """Do the task up to the point where its frames may be sent. Blocks: call it in a thread.

        ``inputs`` are those of the coordinator; what other nodes sealed is collected through ``pull``.

        Raises:
            ArchipelError: why nothing leaves; its text holds no value. The refusal is in the audit log.
        """
        audit = self.audit
        if audit is None:
            raise errors.error(errors.AUDIT_UNAVAILABLE, "The node runs without an audit log.", node=self.node)
        known: dict[str, Any] = order_facts(order, self.now())
        try:
            return self._run(order, inputs, cancellation or Cancellation(), pull or _nothing, audit, known)
        except errors.ArchipelError as problem:
            told = errors.with_context(self.gate.explained(problem, self.engine), node=self.node)
        except Exception as cause:  # noqa: BLE001 - a fault of ours is an audited refusal too, and its text stays here
            log.error("a task failed with %s", type(cause).__name__)  # no traceback: its lines can hold values
            told = errors.error(errors.INTERNAL, "The node failed.", node=self.node)
        code = told.info.code
        refused = code.fault in {errors.Fault.PERMISSION, errors.Fault.REQUEST} or code is errors.EXCHANGE_REFUSED
        known = self._kept_of(known)
        why = {"code": told.code, "reason": told.info.message, "refused_by": told.rule}
        self._write(audit, "refused" if refused else "failed", {**known, **why})
        raise told

    def enforce(self) -> None:
        """Do what the operator told since: stop tasks, unlock permits.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE or LEDGER_UNAVAILABLE, when it cannot be written down; tasks stop anyway.
        """
        if self.audit is not None:
            self.running.enforce(self.audit, self.ledger, self.now())

    def _run(
        self,
        order: TaskOrder,
        inputs: Mapping[str, pa.Table],
        cancellation: Cancellation,
        pull: Pull,
        audit: AuditLog,
        known: dict[str, Any],
    ) -> Released:
        """Do the task; what becomes known on the way is added to ``known`` for the audit log."""
        asked = authorise(
            order.permit,
            order.request,
            node=self.node,
            federation=self.federation,
            authority_key=self.authority_key,
            now=self.now(),
        )
        known |= asked_facts(asked) | self._grounds(order)
        self.running.enter(cancellation, asked.permit.permit_id, asked.researcher)
        self.gate.enter(order, asked)
        check_names(order, inputs, {table.name.lower() for table in self.engine.tables()})
        parties = [sender.node for senders in order.senders.values() for sender in senders]
        parties += [node for output in order.outputs for node in output.nodes]
        sealed.check_parties(self.peers, parties, asked.permit.nodes)
        if order.round is not None or order.intersection is not None:
            return self._step(order, asked, pull, cancellation, audit, known)
        with contextlib.ExitStack() as held:
            received = self._receive(order, asked, pull, cancellation, held)
            if received:
                known |= received_facts(received) | self._grounds(order, received)
            releases = self._decide(order, asked, received)
            intersecting.check_received(received, releases, self.engine.tables(), asked.permit)
            release = next(iter(releases.values()))
            known |= release_facts(release)
            passed = self.gate.allow(order, asked, release, inputs, received, audit)
            known |= passed.facts()
            data: dict[str, Any] = {**inputs, **{name: part.data for name, part in received.items()}}
            if release.pseudonymised:
                known["key_epoch"] = self.peers.epoch
                data[PADS_TABLE] = self.peers.pads(asked.permit.permit_id)
            self.engine.check_unchanged(release.tables)
            passed.check(release.sql)
            started = time.monotonic()
            answer, notes = self._answer(order, data, asked, release, cancellation, known)
            engine_ms = (time.monotonic() - started) * 1000
            if received and COORDINATOR in releases and asked.request.privacy is None:
                notes += self._match_rates(order, asked, release, received, data, cancellation, audit, known)
        self.engine.check_unchanged(release.tables)  # what was read is what was registered, not half of a new file
        if COORDINATOR in releases and release.private is None:
            self._rounds.released_alone(asked, release, self.engine)
        self.running.check(asked.permit.permit_id, asked.researcher)
        cancellation.check()
        released = self._release(order, asked, releases, answer, notes, engine_ms, audit, known, cancellation)
        self._keeping.forget(tuple(stream for part in received.values() for stream in part.streams))
        return released

    def _match_rates(
        self,
        order: TaskOrder,
        asked: Asked,
        release: Release,
        received: Mapping[str, Received],
        data: Mapping[str, Any],
        cancellation: Cancellation,
        audit: AuditLog,
        known: dict[str, Any],
    ) -> tuple[Note, ...]:
        """Return what is told of how many persons matched, each count asked as a question of its own."""
        permit = asked.permit
        given = {**data, PADS_TABLE: self.peers.pads(permit.permit_id)} if release.pseudonymised else data

        def ask(sql: str, name: str) -> tuple[Release, Answer]:
            part = {name: received[name]}
            decided = self._decisions.decide(
                sql, self.engine.tables(), {}, permit, received={name: received[name].table}
            )
            self.gate.allow(order, asked, decided, {}, part, audit).check(decided.sql)
            rows = {n: given[n] for n in (name, PADS_TABLE) if n in given}
            answer, _ = self._answer(order, rows, asked, decided, cancellation, {})
            return decided, answer

        notes = match_rates.told(release, received, self.engine.tables(), self.node, permit.permit_id, ask)
        if notes:
            known["match_rates"] = [asdict(note.match_rate) for note in notes if note.match_rate is not None]
        return notes

    def _answer(
        self,
        order: TaskOrder,
        data: Mapping[str, Any],
        asked: Asked,
        release: Release,
        cancellation: Cancellation,
        known: dict[str, Any],
    ) -> tuple[Answer, tuple[Note, ...]]:
        """Run the statement and return what may leave, and what is to be said of it.

        Groups of persons leave as the ledger of earlier answers lets them, or with noise for differential privacy.
        """

        def run(sql: str, more: Mapping[str, pa.Table]) -> pa.Table:
            stated = replace(release, sql=sql)
            return self._execute(order, {**data, **more}, asked, stated, cancellation, told=sql == release.sql)

        def gather(sql: str, more: Mapping[str, pa.Table], take: Callable[[pa.RecordBatchReader], Groups]) -> Groups:
            return self._taken(order, {**data, **more}, asked, replace(release, sql=sql), cancellation, take)

        if release.private is not None:
            return self._private_answer(order, data, asked, release, run, known)
        if not ledger_task.concerns(release):
            return _strip(run(release.sql, {}), release), lattice.notes(release)
        notes = lattice.notes(release)
        if release.perturbed is not None:
            notes += (perturbation.note_of(release.perturbed),)
        answer = ledger_task.answered(
            self.ledger,
            release,
            self.engine,
            data,
            asked.permit,
            run=run,
            gather=gather,
            answer_of=lambda table: perturbation.of(_strip(table, release), release.perturbed, self.budgets, run),
            about={"researcher": asked.researcher, "query": order.query_id},
            note=known.update,
            now=self.now(),
        )
        return answer, notes

    def _private_answer(
        self,
        order: TaskOrder,
        data: Mapping[str, Any],
        asked: Asked,
        release: Release,
        run: privacy.Run,
        known: dict[str, Any],
    ) -> tuple[Answer, tuple[Note, ...]]:
        if self.ledger is not None:
            self.ledger.admit(asked.permit)
        answer, note = privacy.answered(
            self.budgets,
            release,
            self.engine,
            {name: content_digest(table) for name, table in data.items()},
            privacy.Asker(asked.permit.permit_id, asked.researcher, asked.request.request_id),
            run=run,
            note=known.update,
            now=self.now(),
        )
        return answer, (note,)

    def _step(
        self,
        order: TaskOrder,
        asked: Asked,
        pull: Pull,
        cancellation: Cancellation,
        audit: AuditLog,
        known: dict[str, Any],
    ) -> Released:
        if self.ledger is not None:
            self.ledger.admit(asked.permit)
        services = _OfStep(self, order, asked, pull, cancellation, audit, known)
        sent: scope.Sent | intersecting.Sent
        if order.round is not None:
            sent = self._rounds.run(order, asked, self.engine, services)
        else:
            known["intersection_step"] = order.intersection.step.value if order.intersection is not None else ""
            sent = self._intersections.run(order, asked, services)
            known |= release_facts(sent.release)
        self.running.check(asked.permit.permit_id, asked.researcher)
        cancellation.check()
        told = {"bytes": sum(p.size for p in sent.parcels), "sent": [p.facts() for p in sent.parcels]}
        record = self._write(audit, "released", {**known, **sent.facts, **told})
        return Released(
            tuple(self._stream(order, asked, parcel, record, None, cancellation) for parcel in sent.parcels),
            sent.withheld,
            services.engine_ms,
        )

    def _grounds(self, order: TaskOrder, received: Mapping[str, Received] | None = None) -> dict[str, str]:
        """Keep what the decision rests on, so that it can be played again; return what names it."""
        if self.grounds is None:
            return {}
        tables = {name: part.table for name, part in (received or {}).items()}
        return self.grounds.of(order, self.engine.tables(), tables)

    def _receive(
        self, order: TaskOrder, asked: Asked, pull: Pull, cancellation: Cancellation, held: contextlib.ExitStack
    ) -> dict[str, Received]:
        """Collect what other nodes sealed for this task, by input."""

        def pulled(exchange_id: str, node: str) -> Iterator[bytes]:
            for part in pull(exchange_id, node):
                cancellation.check()
                yield part

        found = {}
        for name, senders in order.senders.items():
            streams = [self._stream_id(order, asked, name, sender, self.node) for sender in senders]
            part = sealed.receive(
                streams, peers=self.peers, pull=pulled, limits=self.receive_limits, kept=self._keeping.rows_of
            )
            held.callback(part.close)
            found[name] = part
        sealed.check_epochs(tuple(found.values()), self.peers)
        return found

    def _decide(
        self, order: TaskOrder, asked: Asked, received: Mapping[str, Received], *, intersected: bool = False
    ) -> dict[str, Release]:
        """Check at the border, for every destination; the decision and its rule are all that a span tells of it."""
        tables = {name: part.table for name, part in received.items()}
        own = {name: columns for name, columns in order.inputs.items() if name not in order.senders}
        with telemetry.span("archipel.border") as span:
            try:
                releases = {
                    destination: self._decisions.decide(
                        order.sql,
                        self.engine.tables(),
                        own,
                        asked.permit,
                        received=tables,
                        destination=destination,
                        privacy=asked.request.privacy,
                        intersected=intersected,
                    )
                    for destination in order.destinations
                }
                self._decisions.check_certificates(order, self.engine.tables(), own, asked.permit, tables)
            except errors.ArchipelError as problem:
                span.set(telemetry.Attribute.POLICY_DECISION, "refused")
                span.set(telemetry.Attribute.POLICY_RULE, problem.rule or problem.code)
                raise
            release = next(iter(releases.values()))
            span.set(telemetry.Attribute.POLICY_DECISION, "allowed")
            span.set(telemetry.Attribute.POLICY_RULE, release.rule)
        if any(other.sql != release.sql for other in releases.values()):
            # One statement runs for all; each of the receivers may have what it gives, or none of them gets it.
            raise errors.error(errors.BORDER_REFUSED, "The nodes that would get this may not get the same.")
        return releases

    def _execute(
        self,
        order: TaskOrder,
        inputs: Mapping[str, Any],
        asked: Asked,
        release: Release,
        cancellation: Cancellation,
        *,
        told: bool = True,
    ) -> pa.Table:
        """Run the release's statement; one that nothing is told of gives as much as the node lets any give."""
        max_bytes = min((order.max_bytes if told else 0) or self.max_release_bytes, self.max_release_bytes)
        # Read whole before the first frame leaves, also what is not protected: the record must name its size.
        return self._taken(order, inputs, asked, release, cancellation, lambda reader: _read(reader, max_bytes))

    def _taken(
        self,
        order: TaskOrder,
        inputs: Mapping[str, Any],
        asked: Asked,
        release: Release,
        cancellation: Cancellation,
        take: Callable[[pa.RecordBatchReader], Taken],
    ) -> Taken:
        """Run the release's statement and return what is made of its rows as they come."""
        timeout_s = min(self.statement_timeout_s, order.timeout_s, asked.request.timeout_s)
        summary = " ".join(("SELECT", *release.tables))
        statement = self.engine.statement(release.sql, inputs, timeout_s=timeout_s)
        started, failed = time.monotonic(), ""
        try:
            with (
                telemetry.span(
                    summary, kind="client", attributes=telemetry.query_attributes(release.sql, summary=summary)
                ),
                cancellation.reaching(statement),
            ):
                return take(statement.run())
        except errors.ArchipelError as problem:
            failed = problem.code
            if problem.info.code is errors.CANCELLED:
                cancellation.check()
            if release.protected and problem.info.code in _SAYS_WHY:
                raise errors.error(errors.NODE_EXECUTION, PROTECTED_FAILURE, hint=PROTECTED_FAILURE_HINT) from None
            raise
        finally:
            statement.close()
            telemetry.record_statement(time.monotonic() - started, error=failed)

    def _release(
        self,
        order: TaskOrder,
        asked: Asked,
        releases: Mapping[str, Release],
        answer: Answer,
        notes: tuple[Note, ...],
        engine_ms: float,
        audit: AuditLog,
        known: dict[str, Any],
        cancellation: Cancellation,
    ) -> Released:
        release = next(iter(releases.values()))
        output, withheld, fewest = answer.output, answer.withheld, answer.fewest
        me = Sender(self.node, order.stage_id, order.attempt)
        parcels = packed(
            output,
            order.outputs,
            releases,
            compress=self.compress,
            stream_of=lambda exchange_id, node: self._stream_id(order, asked, exchange_id, me, node),
            epoch=self.peers.epoch,
            keep=lambda stream, rows: self._keeping.keep(stream, rows, timeout_s=order.timeout_s),
        )
        record = self._write(
            audit,
            "released",
            {
                **known,
                "min_persons": release.min_persons if release.protected else None,
                "fewest_persons_of_a_group": fewest,
                "rows": output.num_rows,
                "withheld_groups": withheld if release.withheld_column is not None else None,
                "bytes": sum(parcel.size for parcel in parcels),
                "sent": [parcel.facts() for parcel in parcels],
            },
        )
        thresholded = release.withheld_column is not None  # single rows for another node: there the threshold will be
        told = withheld if thresholded and release.tell_withheld_count else None
        groups = output.num_rows if told is not None else None
        return Released(
            tuple(self._stream(order, asked, parcel, record, groups, cancellation) for parcel in parcels),
            Withheld(thresholded, release.min_persons if thresholded else 0, told),
            engine_ms,
            notes,
        )

    def _stream(
        self,
        order: TaskOrder,
        asked: Asked,
        parcel: Parcel,
        record: str,
        groups: int | None,
        cancellation: Cancellation,
    ) -> Stream:
        return Stream(
            parcel.exchange_id,
            parcel.receiver,
            _until_stopped(parcel.frames(self.peers), cancellation),
            lambda: self._receipt(order, asked, parcel, record, groups),
        )

    def _stream_id(self, order: TaskOrder, asked: Asked, exchange_id: str, sender: Sender, receiver: str) -> StreamId:
        return StreamId(
            federation=self.federation,
            query_id=order.query_id,
            exchange_id=exchange_id,
            stage_id=sender.stage_id,
            attempt=sender.attempt,
            sender=sender.node,
            receiver=receiver,
            permit_id=asked.permit.permit_id,
            request_sha256=tokens.digest(order.request),
        )

    def _receipt(self, order: TaskOrder, asked: Asked, parcel: Parcel, record: str, groups: int | None) -> str:
        release = parcel.release
        size, digest = parcel.sent
        return receipt.sign(
            receipt.ReceiptContent(
                node=self.node,
                query_id=order.query_id,
                stage_id=order.stage_id,
                attempt=order.attempt,
                permit_id=asked.permit.permit_id,
                request_sha256=tokens.digest(order.request),
                sql_sha256=hashlib.sha256(release.sql.encode()).hexdigest(),
                form=release.form.name.lower(),
                rule=release.rule,
                min_persons=release.min_persons,
                bytes=size if parcel.size_told else 0,
                content_sha256=digest,
                audit_record=record,
                time=int(self.now()),
                groups=groups,
                exchange=parcel.exchange_id,
                destination=parcel.receiver,
                checkpoint=self._newest_checkpoint(),
            ),
            self.signing_key,
        )

    def _newest_checkpoint(self) -> str:
        return self.audit.newest_checkpoint if self.checkpoint_in_receipts and self.audit is not None else ""

    def _kept_of(self, known: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of a task that failed, without naming documents that could not be kept."""
        if self.grounds is not None:
            try:
                self.grounds.settled(known)
            except errors.ArchipelError:
                return {name: value for name, value in known.items() if name not in KEPT or name in NAMED_ANYWAY}
        return known

    def _write(self, audit: AuditLog, kind: str, content: dict[str, Any]) -> str:
        try:
            if self.grounds is not None and kind == "released":
                self.grounds.settled(content)
            return audit.append(kind, content)
        except errors.ArchipelError as problem:
            log.error("nothing is released: %s", problem.info.message)
            raise errors.with_context(problem, node=self.node) from None


@dataclass(slots=True)
class _OfStep:
    """What a step of several nodes' common work needs of its task (``Services`` of ``scope`` and ``intersecting``)."""

    runner: TaskRunner
    order: TaskOrder
    asked: Asked
    pull: Pull
    cancellation: Cancellation
    audit: AuditLog
    known: dict[str, Any]
    engine_ms: float = 0.0

    def receive(self, exchange_id: str, sender: Sender) -> pa.Table:
        def pulled(exchange: str, node: str) -> Iterator[bytes]:
            for part in self.pull(exchange, node):
                self.cancellation.check()
                yield part

        runner = self.runner
        stream = runner._stream_id(self.order, self.asked, exchange_id, sender, runner.node)
        part = sealed.receive([stream], peers=runner.peers, pull=pulled, limits=runner.receive_limits)
        try:
            sealed.check_epochs((part,), runner.peers)
            return part.data if isinstance(part.data, pa.Table) else part.data.reader().read_all()
        finally:
            part.close()

    def decide(self) -> Mapping[str, Release]:
        return self.runner._decide(self.order, self.asked, {}, intersected=True)

    def check(self) -> None:
        self.cancellation.check()

    def tables(self) -> tuple[Table, ...]:
        return self.runner.engine.tables()

    def check_unchanged(self, tables: tuple[str, ...]) -> None:
        self.runner.engine.check_unchanged(tables)

    def run(self, release: Release, data: Mapping[str, Any]) -> pa.Table:
        runner = self.runner
        self.known |= release_facts(release)
        passed = runner.gate.allow(self.order, self.asked, release, {}, {}, self.audit)
        self.known |= passed.facts()
        runner.engine.check_unchanged(release.tables)
        passed.check(release.sql)
        started = time.monotonic()
        table = runner._execute(self.order, data, self.asked, release, self.cancellation)
        self.engine_ms = (time.monotonic() - started) * 1000
        runner.engine.check_unchanged(release.tables)
        return table

    def gather(
        self, release: Release, data: Mapping[str, Any], take: Callable[[pa.RecordBatchReader], Groups]
    ) -> Groups:
        runner = self.runner
        groups = runner._taken(self.order, data, self.asked, release, self.cancellation, take)
        runner.engine.check_unchanged(release.tables)
        return groups

    def note(self, facts: Mapping[str, Any]) -> None:
        self.known.update(facts)

    def stream_id(self, exchange_id: str, receiver: str) -> StreamId:
        me = Sender(self.runner.node, self.order.stage_id, self.order.attempt)
        return self.runner._stream_id(self.order, self.asked, exchange_id, me, receiver)


def _nothing(exchange_id: str, node: str) -> Iterator[bytes]:
    """Stand for the coordinator where nothing can be collected."""
    return iter(())


def _until_stopped(frames: Iterator[bytes], cancellation: Cancellation) -> Iterator[bytes]:
    for frame in frames:
        cancellation.check()
        yield frame


def _read(reader: pa.RecordBatchReader, max_bytes: int) -> pa.Table:
    batches, size = [], 0
    for batch in reader:
        size += batch.nbytes
        if max_bytes and size > max_bytes:
            raise errors.error(errors.RESULT_TOO_LARGE, f"The stage gives more than {max_bytes:,} bytes.")
        batches.append(batch)
    return pa.Table.from_batches(batches, reader.schema)


def _strip(table: pa.Table, release: Release) -> Answer:
    """Return the rows that leave, the number of withheld groups, and the fewest persons of a released group."""
    if release.withheld_column is None or release.persons_column is None:
        return Answer(table, 0, None)
    import pyarrow.compute as pc

    table = lattice.settled(table, release)
    withheld = table.column(release.withheld_column)[0].as_py() if table.num_rows else 0
    kept = table.filter(pc.is_valid(table.column(release.persons_column)))
    fewest = pc.min(kept.column(release.persons_column)).as_py() if kept.num_rows else None
    if fewest is not None and fewest < release.min_persons:
        log.critical("a statement passed the border check with a group below the threshold: nothing leaves")
        raise errors.error(errors.BORDER_REFUSED, "The threshold was not met.")
    return Answer(kept.drop_columns([release.withheld_column, release.persons_column]), int(withheld or 0), fewest)
