"""Collects the stages and exchanges of a plan while it is being made, and asks the border check about every node stage.

Stages of a way that turned out to be closed are taken back: a plan holds only what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from archipel import errors, obligations
from archipel.border import check, linking, parsing, vocabulary
from archipel.border.decision import BorderContext, Release
from archipel.intersection import IntersectionStep, Step
from archipel.permit import Permit
from archipel.request import Privacy
from archipel.schema import Column, Form, Scope, Table
from coordinator.catalog import Catalog
from coordinator.plan import COORDINATOR, SHARD_COLUMN, Alternative, Exchange, Interval, OutputColumn, Stage, StageKind
from coordinator.planner import quantiles
from coordinator.planner.bind import Describe
from coordinator.planner.carried import as_sent, check_carried
from coordinator.planner.estimate import estimate, rows_of
from coordinator.planner.means import check_intersecting, check_linkage, check_sealing
from coordinator.planner.placement import Placement
from coordinator.planner.positions import position_of
from coordinator.planner.rules import EVERY_RULE, Rules

STAYS = "stays at the coordinator"
BLINDED = "persons under project pseudonyms, blinded: they can be matched by the receiver, not read"
IN_BOTH = "which of a sender's persons the receiver has, too: the sender alone can read it"

WITHOUT_FEW = (
    "Rows cross between holders after a private set intersection: where fewer than {least} persons of one holder are "
    "at the other, too, that holder sends none, and the answer is without them."
)

MESSAGE = (OutputColumn("part", "VARCHAR"), OutputColumn("content", "BLOB"))
"""The columns of messages of private set intersections."""

_PLAIN = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|VARCHAR|BLOB|DATE|TIME|TIMESTAMP|DECIMAL\(\d+,\d+\)"
)
"""Types that come back from Arrow as what they were: of others the engine is asked."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table that a later stage reads: an exchange's name and its columns.

    ``placed`` says where its rows are, if not each of its readers gets all of them.
    """

    name: str
    columns: tuple[OutputColumn, ...]
    placed: Placement | None = None


@dataclass(slots=True)
class _Open:
    """An exchange whose target is not known yet."""

    source: str
    form: Form
    rule: str
    rows: int
    size: int
    columns: tuple[OutputColumn, ...]
    kind: StageKind
    part_column: str = ""
    obliges: Table | None = None
    """For rows that nodes send to nodes: what the receivers must treat them as."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a plan in the making held at some point."""

    stages: tuple[Stage, ...]
    exchanges: tuple[Exchange, ...]
    notes: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    not_pushed: tuple[str, ...]
    opened: Mapping[str, _Open]
    known: Mapping[tuple[object, ...], Source]
    names: int


@dataclass(slots=True)
class _Decided:
    """What the border check said of one statement at all its sites, and which tables it reads under pseudonyms."""

    releases: list[Release] = field(default_factory=list)
    linked: Mapping[str, Table] = field(default_factory=dict)

    @property
    def release(self) -> Release:
        return self.releases[-1]

    def obliges(self, columns: tuple[OutputColumn, ...], part_column: str) -> Table | None:
        """Return what receivers that are nodes must treat the output as."""
        found = [r.obliges for r in self.releases if r.obliges is not None]
        if not found:
            return None
        sent = [obligations.without_column(table, part_column) if part_column else table for table in found]
        table = obligations.combined("released", sent)
        return replace(table, columns=tuple(Column(c.name, c.type) for c in columns))


def _all_plain(columns: tuple[OutputColumn, ...]) -> bool:
    return all(_PLAIN.fullmatch(column.type) for column in columns)


@dataclass(slots=True)
class Assembly:
    """The plan in the making."""

    catalog: Catalog
    permit: Permit
    ask_engine: Describe
    prefix: str
    rules: Rules = EVERY_RULE
    scope: Scope = Scope.NODE
    privacy: Privacy | None = None
    stages: list[Stage] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    intervals: dict[str, tuple[Interval, ...]] = field(default_factory=dict)
    """By merged exchange, also of ways that were taken back; see ``kept_intervals``."""
    alternatives: list[Alternative] = field(default_factory=list)
    not_pushed: list[str] = field(default_factory=list)
    _open: dict[str, _Open] = field(default_factory=dict)
    _known: dict[tuple[object, ...], Source] = field(default_factory=dict)
    _names: int = 0
    _made: dict[str, tuple[exp.Query, tuple[str, ...], Mapping[str, Source], str]] = field(default_factory=dict)
    """By exchange of a shipment, what its stage is made of, and what the border check made of it."""
    _alike: dict[tuple[str, str], object] = field(default_factory=dict)
    _decided: dict[tuple[object, ...], Release | errors.ArchipelError] = field(default_factory=dict)
    """What the border check said: ways that are tried one after the other ask the same again."""

    def mark(self) -> Mark:
        """Return a point to which ``back`` can return, also after another way was tried from it."""
        return Mark(
            tuple(self.stages),
            tuple(self.exchanges),
            tuple(self.notes),
            tuple(self.alternatives),
            tuple(self.not_pushed),
            dict(self._open),
            dict(self._known),
            self._names,
        )

    def back(self, mark: Mark) -> None:
        """Take back everything since ``mark``."""
        self.stages, self.exchanges, self.notes = list(mark.stages), list(mark.exchanges), list(mark.notes)
        self.alternatives, self.not_pushed = list(mark.alternatives), list(mark.not_pushed)
        self._open, self._known, self._names = dict(mark.opened), dict(mark.known), mark.names

    def node_stage(
        self,
        tree: exp.Query,
        sites: tuple[str, ...],
        inputs: Mapping[str, Source],
        *,
        to: tuple[str, ...] = (COORDINATOR,),
        part_column: str = "",
        estimated: tuple[int, int] | None = None,
        shipment: str = "",
        matched: exp.Select | None = None,
    ) -> Source:
        """Add a statement that runs at ``sites``, unless the same one is there already; return what it delivers.

        ``to`` are the receivers: the coordinator, or nodes, to whom the output goes sealed; with ``part_column`` each
        of them gets only the rows that name its index in that column. ``estimated`` are rows and bytes, if known.
        ``shipment`` tells what it sends, for ``sent_again``. With ``matched``, the statement of the receivers' persons,
        rows go of persons only whom the receivers have.

        Raises:
            ArchipelError: the border check of one of the sites refuses it.
        """
        tree = self._typed(quantiles.exactly(tree), tuple(inputs))
        sql = tree.sql("duckdb")
        key = ("node", sql, sites, to, part_column, matched)
        if key in self._known and self.rules.common_subplans:
            known = self._known[key]
            return known if to == (COORDINATOR,) else self._again(known)
        decided = self._check(tree, sites, inputs, to, intersected=matched is not None)
        columns = self._described(tree, inputs, decided.linked)
        check_carried(tree, columns)
        stage_id = self._next_stage()
        names = tuple(sorted(inputs))
        step = None
        if matched is not None:
            self._check(matched, to, {}, sites, intersected=True)
            check_intersecting((*sites, *to), self.catalog)
            note = WITHOUT_FEW.format(least=decided.release.min_persons)
            self.notes += [note] if note not in self.notes else []
            step, names = self._intersection(stage_id, sql, sites, matched, to)
        self.stages.append(Stage(stage_id, StageKind.NODE, sites, sql, columns, names, intersection=step))
        names = tuple(sorted(inputs))
        known_rows = {name: self._open[name].rows for name in names}
        self._close(names, stage_id)
        rows, size = estimated or estimate(tree, self.catalog, sites, columns, known_rows)
        sent = tuple(c for c in columns if c.name != part_column)
        release = decided.release
        obliges = decided.obliges(sent, part_column)
        opened = _Open(stage_id, release.form, release.rule, rows, size, sent, StageKind.NODE, part_column, obliges)
        source = self._exchange(opened)
        self._known[key] = source
        if shipment:
            self._known["shipment", shipment] = source
            self._made[source.name] = (tree, sites, inputs, release.sql)
        return source

    def _next_stage(self) -> str:
        own = [s for s in self.stages if s.intersection is None or s.intersection.step is Step.SEND]
        return f"s{len(own) + 1}"

    def _intersection(
        self, stage_id: str, sql: str, sites: tuple[str, ...], persons: exp.Select, to: tuple[str, ...]
    ) -> tuple[IntersectionStep, tuple[str, ...]]:
        """Add the steps before the rows of an exchange; return the last step, and what that reads."""
        asks, answers = (IntersectionStep(step, sites, to) for step in (Step.ASK, Step.ANSWER))
        name = f"{self.prefix}{self._names + 1}"
        asked, answered = f"{name}_{Step.ASK.value}", f"{name}_{Step.ANSWER.value}"
        asking, answering = f"{stage_id}_{Step.ASK.value}", f"{stage_id}_{Step.ANSWER.value}"
        self.stages += [
            Stage(asking, StageKind.NODE, sites, sql, MESSAGE, intersection=asks),
            Stage(answering, StageKind.NODE, to, persons.sql("duckdb"), MESSAGE, (asked,), intersection=answers),
        ]
        size = max(1, rows_of(persons, self.catalog, to)) * len(sites)
        self.exchanges += [
            Exchange(asked, asking, answering, Form.KEYS, BLINDED, len(sites), 32 * size),
            Exchange(answered, answering, stage_id, Form.KEYS, IN_BOTH, len(sites) * len(to), 48 * size),
        ]
        return IntersectionStep(Step.SEND, sites, to), (answered,)

    def sent_again(self, shipment: str, to: tuple[str, ...]) -> Source | None:
        """Return another exchange of the stage that sends a shipment already, to ``to``; None if there is none.

        Raises:
            ArchipelError: the border check of one of the sites refuses it for one of these receivers.
        """
        known = self._known.get(("shipment", shipment)) if self.rules.common_subplans else None
        if known is None:
            return None
        tree, sites, inputs, released = self._made[known.name]
        decided = self._check(tree, sites, inputs, to)
        if any(release.sql != released for release in decided.releases):
            return None
        opened = self._open[known.name]
        release, obliges = decided.release, decided.obliges(opened.columns, opened.part_column)
        return self._exchange(replace(opened, form=release.form, rule=release.rule, obliges=obliges))

    def _again(self, source: Source) -> Source:
        """Return another exchange of a stage that sends to nodes already: each exchange has one target."""
        opened = self._open[source.name]
        if all(exchange.exchange_id != source.name for exchange in self.exchanges):
            return source
        return self._exchange(opened)

    def _described(
        self, tree: exp.Query, inputs: Mapping[str, Source], linked: Mapping[str, Table]
    ) -> tuple[OutputColumn, ...]:
        """Return the columns of a node stage; persons of ``linked`` tables are pseudonyms in it."""
        seen = linking.as_linked(tree, linked) if linked else tree
        return self.ask_engine(seen.sql("duckdb"), {name: source.columns for name, source in inputs.items()})

    def describe(
        self, sql: str, inputs: Mapping[str, tuple[OutputColumn, ...]] | None = None
    ) -> tuple[OutputColumn, ...]:
        """Return the columns of a statement over the catalogue's tables and ``inputs``.

        Where it reads rows of persons that came from other nodes, the nodes' own persons are pseudonyms, too.
        """
        received = {n: replace(o, name=n) for n in inputs or () if n in self._open and (o := self._open[n].obliges)}
        if any(table.policy.protected for table in received.values()):
            tree = parsing.parse(sql)
            tables = {name: entry.table for name, entry in self.catalog.tables.items()}
            linked = linking.linked_tables(tree, BorderContext("", tables, {}, self.permit, received))
            sql = linking.as_linked(tree, linked).sql("duckdb")
        return self.ask_engine(sql, inputs)

    def merge_stage(self, tree: exp.Query, source: Source, keys: tuple[str, ...]) -> Source:
        """Add the merge of what nodes delivered as ``source``; return its output."""
        sql = tree.sql("duckdb")
        key = ("merge", sql, source.name)
        if key in self._known:
            return self._known[key]
        columns = self.describe(sql, {source.name: self._seen(source)})
        stage_id = self._next_stage()
        self.stages.append(Stage(stage_id, StageKind.MERGE, (COORDINATOR,), sql, columns, (source.name,), keys))
        opened = self._open[source.name]
        self._close((source.name,), stage_id)
        merged = self._exchange(replace(opened, source=stage_id, rule=STAYS, columns=columns, kind=StageKind.MERGE))
        self._known[key] = merged
        return merged

    def kept_intervals(self) -> tuple[Interval, ...]:
        """Return the intervals of the exchanges that there are."""
        stages = {stage.stage_id: stage for stage in self.stages}
        columns = {e.exchange_id: {c.name for c in stages[e.source].columns} for e in self.exchanges}
        found = [interval for intervals in self.intervals.values() for interval in intervals]
        return tuple(i for i in found if {i.total, i.lower, i.upper} <= columns.get(i.exchange_id, set()))

    def finish_stage(self, tree: exp.Query) -> tuple[str, tuple[OutputColumn, ...]]:
        """Add a statement of the coordinator over the exchanges that it names; return its stage and columns.

        Raises:
            ArchipelError: it calls a function or uses syntax that is on no allow-list, or names what is not there.
        """
        names = self.read_by(tree)
        self._check_own(tree, names)
        sql = self._typed(quantiles.exactly(tree), names).sql("duckdb")
        columns = self.describe(sql, self.columns_of(names))
        stage_id = self._next_stage()
        self.stages.append(Stage(stage_id, StageKind.FINISH, (COORDINATOR,), sql, columns, names))
        self._close(names, stage_id)
        return stage_id, columns

    def describe_own(self, tree: exp.Query) -> tuple[OutputColumn, ...]:
        """Return the columns of a statement of the coordinator."""
        names = self.read_by(tree)
        return self.describe(self._typed(tree, names).sql("duckdb"), self.columns_of(names))

    def finished(self, tree: exp.Query) -> Source:
        """Add a finish stage whose output goes to nodes, unless it is there already; return that output."""
        key = ("finish", tree.sql("duckdb"))
        if key not in self._known:
            read = self.read_by(tree)
            rows, size = (max((self.estimated(name)[i] for name in read), default=0) for i in (0, 1))
            stage_id, columns = self.finish_stage(tree)
            opened = _Open(stage_id, Form.AGGREGATE, STAYS, rows, size, columns, StageKind.FINISH)
            self._known[key] = self._exchange(opened)
        return self._known[key]

    def brings_persons(self, names: Iterable[str]) -> bool:
        """Whether one of these exchanges carries rows of a protected table from node to node."""
        found = [self._open[name].obliges for name in names if name in self._open]
        return any(obliges is not None and obliges.policy.protected for obliges in found)

    def estimated(self, name: str) -> tuple[int, int]:
        """Return the estimated rows and bytes of an exchange."""
        return self._open[name].rows, self._open[name].size

    def read_by(self, tree: exp.Expr) -> tuple[str, ...]:
        """Return the names of the exchanges that a tree reads, sorted."""
        found = {t.name for t in tree.find_all(exp.Table) if t.name in self._open}
        return tuple(sorted(found, key=lambda name: int(name.removeprefix(self.prefix))))

    def columns_of(self, names: tuple[str, ...]) -> dict[str, tuple[OutputColumn, ...]]:
        """Return the columns of exchanges, as a statement of the coordinator sees them."""
        return {n: self._seen(Source(n, self._open[n].columns)) for n in names}

    def _seen(self, source: Source) -> tuple[OutputColumn, ...]:
        if self._open[source.name].kind is StageKind.NODE:
            return (*source.columns, OutputColumn(SHARD_COLUMN, "INTEGER"))
        return source.columns

    def bytes_over_borders(self) -> int:
        """Return the estimated bytes of all exchanges so far that leave a node or go to one."""
        kinds = {stage.stage_id: stage for stage in self.stages}
        closed = {exchange.exchange_id for exchange in self.exchanges}
        total = 0
        for exchange in self.exchanges:
            source, target = kinds[exchange.source], kinds[exchange.target]
            if StageKind.NODE in {source.kind, target.kind}:
                several = target.kind is StageKind.NODE and not exchange.part_column
                total += exchange.estimated_bytes * (len(target.sites) if several else 1)
        waiting = [o for name, o in self._open.items() if name not in closed and o.kind is StageKind.NODE]
        return total + sum(o.size for o in waiting)

    def _exchange(self, opened: _Open) -> Source:
        self._names += 1
        name = f"{self.prefix}{self._names}"
        self._open[name] = opened
        return Source(name, opened.columns)

    def _close(self, names: tuple[str, ...], target: str) -> None:
        for name in names:
            o = self._open[name]
            self.exchanges.append(Exchange(name, o.source, target, o.form, o.rule, o.rows, o.size, o.part_column))

    def _typed(self, tree: exp.Query, names: tuple[str, ...]) -> exp.Query:
        """Return the tree over exchanges whose columns have the types that they had where they were sent.

        What was merged is left alone: the final value of every aggregate is cast by itself.
        """
        sent = [n for n in names if self._open[n].kind is not StageKind.MERGE and not _all_plain(self._open[n].columns)]
        casts = {n: as_sent(n, self._open[n].columns, self.describe) for n in sent}
        if not any(casts.values()):
            return tree
        typed = tree.copy()
        for table in list(typed.find_all(exp.Table)):
            select = casts.get(table.name)
            if select is not None:
                derived = select.copy().subquery(table.args["alias"].this, copy=False)
                for key in ("joins", "laterals"):
                    derived.set(key, table.args.get(key))
                table.replace(derived)
        return typed

    def _check_own(self, tree: exp.Query, names: tuple[str, ...]) -> None:
        """Make sure that a statement of the coordinator reads exchanges only, and consists of known syntax."""
        parsing.check_syntax(tree, vocabulary.COORDINATOR)
        common = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and table.name not in names and table.name not in common:
                raise errors.error(
                    errors.SQL_UNSUPPORTED,
                    f"Table '{table.name}' stands in a place from which its rows cannot be brought together yet.",
                    position=position_of(table),
                )

    def _check(
        self,
        tree: exp.Query,
        sites: tuple[str, ...],
        inputs: Mapping[str, Source],
        to: tuple[str, ...],
        *,
        intersected: bool = False,
    ) -> _Decided:
        """Run the border check as each site would, for each receiver; where tables and policies are alike, once."""
        made = _Decided()
        asked: set[object] = set()
        received = {n: replace(o, name=n) for n in inputs if (o := self._open[n].obliges) is not None}
        columns = {n: tuple(Column(c.name, c.type) for c in s.columns) for n, s in inputs.items() if n not in received}
        named = {t.name for t in tree.find_all(exp.Table)}
        spelled = tree.sql("duckdb")
        for site, tables, destination in self._crossings(named, sites, to):
            alike = self._alike_policies(tables, site, destination)
            if alike in asked:
                continue
            asked.add(alike)
            context = BorderContext(
                *(site, tables, columns, self.permit, received, destination, self.scope),
                rewrites=False,
                privacy=self.privacy,
                intersected=intersected,
            )
            key = (spelled, alike, intersected, tuple(sorted(columns.items())), tuple(sorted(received.items())))
            decided = self._decide(tree, context, key)
            if isinstance(decided, errors.ArchipelError):
                # Whose policy it is, is always told; which of several sites it is, where others did not refuse.
                named_site = site if decided.info.code is errors.POLICY_REFUSED or len(asked) > 1 else ""
                raise errors.with_context(self._in_tables_words(decided, received), node=named_site) from None
            made.releases.append(decided)
            made.linked = made.linked or linking.linked_tables(tree, context)
        if to != (COORDINATOR,):
            check_sealing((*sites, *to), self.catalog)
        senders = [node for name in inputs if self.brings_persons((name,)) for node in self._senders(name)]
        pseudonymised = any(release.pseudonymised for release in made.releases)
        check_linkage(sites, senders, self.catalog, pseudonymised=pseudonymised)
        return made

    def _in_tables_words(self, problem: errors.ArchipelError, received: Iterable[str]) -> errors.ArchipelError:
        """Return the problem with the tables that were sent in place of the exchange that brought them."""
        message, hint = problem.info.message, problem.info.hint
        for name in received:
            stage = next(stage for stage in self.stages if stage.stage_id == self._open[name].source)
            tables = " and ".join(sorted(n for n in self.catalog.tables if re.search(rf'"{n}"', stage.sql, re.I)))
            message, hint = (re.sub(rf"\b{name}\b", tables or name, text) for text in (message, hint))
        return errors.raised(replace(problem.info, message=message, hint=hint))

    def _senders(self, name: str) -> tuple[str, ...]:
        return next(stage.sites for stage in self.stages if stage.stage_id == self._open[name].source)

    def _crossings(
        self, named: set[str], sites: tuple[str, ...], to: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, Table], str]]:
        entries = [(name, entry) for name, entry in self.catalog.tables.items() if name in named]
        for site in sites:
            tables = {name: entry.shards[site] for name, entry in entries if site in entry.shards}
            for destination in to:
                yield site, tables, destination

    def _alike_policies(self, tables: Mapping[str, Table], site: str, destination: str) -> object:
        """Return what is equal for crossings about which the border check says the same."""
        found = []
        for name, table in tables.items():
            key = (name, site)
            if key not in self._alike:
                self._alike[key] = replace(table, approximate_rows=0, approximate_bytes=0, content_digest="", ranges=())
            required = destination in table.policy.intersection_peers
            found.append((name, self._alike[key], table.policy.form_to(destination), required))
        return tuple(found), destination == COORDINATOR

    def _decide(
        self, tree: exp.Query, context: BorderContext, key: tuple[object, ...]
    ) -> Release | errors.ArchipelError:
        if key not in self._decided:
            try:
                self._decided[key] = check(tree, context)
            except errors.ArchipelError as problem:
                self._decided[key] = problem
        return self._decided[key]
