"""A plan as a picture: sites as lanes, stages as boxes on them, exchanges over borders as arrows between them.

Self-contained SVG without scripts, links, fonts or identifiers: several can stand in one notebook. It carries its own
background, and dark colours for a reader who prefers them. Time goes downwards, as the stages do in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archipel.explain import drawing
from archipel.explain.document import ExchangeDocument, PlanDocument, StageDocument, StageMeasureDocument
from archipel.explain.drawing import Paint
from archipel.explain.lanes import Lane, among, lanes_of
from archipel.explain.text import milliseconds, remarks

LANE = 250
MARGIN = 20
BOX_WIDTH = 206
BOX_HEIGHT = 58
HEAD_HEIGHT = 44
ARROW_HEIGHT = 62
GAP = 16

TOOLTIP_CHARS = 4_000
REMARKS_SHOWN = 12
NAMES_SHOWN = 200
"""Nodes named in a tooltip."""


def svg(plan: PlanDocument) -> str:
    """Return the picture of a plan."""
    return _Picture(plan, lanes_of(plan)).draw()


@dataclass(slots=True)
class _Picture:
    plan: PlanDocument
    lanes: tuple[Lane, ...]

    def draw(self) -> str:
        y = MARGIN + 24
        heads = y
        y += HEAD_HEIGHT + GAP
        parts: list[str] = []
        for stage in self.plan.stages:
            parts += self._stage(stage, y)
            y += BOX_HEIGHT + GAP
            for exchange in self.plan.exchanges:
                if exchange.source == stage.stage_id and self.plan.crosses(exchange):
                    parts += self._exchange(exchange, y)
                    y += ARROW_HEIGHT
        parts += self._result(y)
        y += ARROW_HEIGHT
        end = y
        width = 2 * MARGIN + LANE * len(self.lanes)
        for words in self._remarks():
            y += 16
            shown = drawing.text(MARGIN, y, words, size=10, paint=Paint.SOFT, chars=width // 6 - 6)
            parts.append(drawing.group(shown, tooltip=words))
        lines = [
            drawing.line(self._x(i), heads + HEAD_HEIGHT, self._x(i), end, Paint.FAINT) for i in range(len(self.lanes))
        ]
        title = drawing.text(MARGIN, MARGIN + 6, self._title(), size=13, bold=True)
        return drawing.document(
            width,
            y + MARGIN,
            [title, *lines, *(self._head(i, heads) for i in range(len(self.lanes))), *parts],
            title=self._title(),
            description=f"{len(self.plan.stages)} stages at {len(self.plan.nodes())} nodes and the coordinator",
        )

    def _title(self) -> str:
        query = self.plan.query
        if query is None:
            return "Plan (not run; sizes are estimates)"
        after = f" after {milliseconds(query.elapsed_ms)}" if query.elapsed_ms is not None else ""
        return f"Query {query.state}{after}"

    def _remarks(self) -> list[str]:
        """Return what the text says below the stages; of many, the first and how many there are."""
        found = remarks(self.plan)
        more = len(found) - REMARKS_SHOWN
        return found if more <= 0 else [*found[:REMARKS_SHOWN], f"and {more} more: see the text"]

    def _x(self, lane: int) -> int:
        """Return the middle of a lane."""
        return MARGIN + LANE * lane + LANE // 2

    def _head(self, index: int, y: int) -> str:
        lane = self.lanes[index]
        names = ", ".join(lane.sites) if len(lane.sites) > 1 else ""
        return drawing.group(
            drawing.box(self._x(index) - BOX_WIDTH // 2, y, BOX_WIDTH, HEAD_HEIGHT, Paint.HEAD, Paint.INK),
            drawing.text(self._x(index), y + 19, lane.title, size=13, bold=True, middle=True, chars=26),
            drawing.text(self._x(index), y + 35, names, size=10, paint=Paint.SOFT, middle=True, chars=36),
            tooltip="\n".join(_names(lane.sites)) if names else "",
        )

    # Stages

    def _stage(self, stage: StageDocument, y: int) -> Iterator[str]:
        measure = self.plan.measure(stage.stage_id)
        here = self._lanes_of(stage)
        if len(here) > 1:
            yield drawing.line(
                self._x(here[0]), y + BOX_HEIGHT // 2, self._x(here[-1]), y + BOX_HEIGHT // 2, Paint.FAINT, dashed=True
            )
        for index in here:
            lane = self.lanes[index]
            sites = among(lane, stage.sites)
            some = f"{len(sites)} of {len(lane.sites)} nodes" if len(sites) < len(lane.sites) else ""
            took = _took(measure, sites)
            reads = f"over {', '.join(stage.inputs)}" if stage.inputs else ""
            facts = ", ".join(part for part in (some, took, reads) if part) or f"{len(stage.columns)} columns"
            x = self._x(index) - BOX_WIDTH // 2
            yield drawing.group(
                drawing.box(x, y, BOX_WIDTH, BOX_HEIGHT, Paint.NODE if stage.kind == "node" else Paint.OWN, Paint.INK),
                drawing.text(x + 10, y + 18, f"{stage.stage_id} {stage.kind}", bold=True),
                drawing.text(x + 10, y + 33, facts, size=11, paint=Paint.SOFT, chars=32),
                drawing.text(x + 10, y + 49, " ".join(stage.sql.split()), size=10, code=True, chars=30),
                tooltip=_details(stage, sites, measure),
            )

    def _lanes_of(self, stage: StageDocument) -> list[int]:
        return [i for i, lane in enumerate(self.lanes) if among(lane, stage.sites)]

    # Exchanges

    def _exchange(self, exchange: ExchangeDocument, y: int) -> list[str]:
        source = self.plan.stage(exchange.source)
        label = [
            f"{exchange.exchange_id}: {exchange.form}{', sealed' if exchange.sealed else ''}",
            f"about {_rows(exchange.estimated_rows)}, {_bytes(exchange.estimated_bytes)}",
        ]
        measure = self.plan.measure(source.stage_id)
        if measure is not None and source.kind == "node":
            label.append(f"measured: {_sent(measure, exchange)}")
        size = exchange.measured_bytes or exchange.estimated_bytes
        return self._arrow(
            self._lanes_of(source),
            self._lanes_of(self.plan.stage(exchange.target)),
            y,
            label,
            thickness=1.2 + min(len(str(max(size, 1))), 10) / 2.5,
            sealed=exchange.sealed,
            tooltip=_allowed(exchange),
        )

    def _result(self, y: int) -> list[str]:
        """Return the last arrow, or the last word where the result is made at the coordinator."""
        stage = self.plan.stage(self.plan.result_stage)
        rows = self.plan.query.result_rows if self.plan.query is not None else None
        words = "result" if rows is None else f"result: {_rows(rows)}"
        last = len(self.lanes) - 1
        if self._lanes_of(stage) != [last]:
            return self._arrow(self._lanes_of(stage), [last], y, [words], thickness=2.0, sealed=False, tooltip="")
        return [
            drawing.line(self._x(last), y - GAP, self._x(last), y + 14, Paint.ARROW, thickness=2.0),
            drawing.head_down(self._x(last), y + 20, Paint.ARROW),
            drawing.text(self._x(last), y + 38, words, bold=True, middle=True),
        ]

    def _arrow(
        self,
        sources: list[int],
        targets: list[int],
        y: int,
        label: list[str],
        *,
        thickness: float,
        sealed: bool,
        tooltip: str,
    ) -> list[str]:
        paint = Paint.SEALED if sealed else Paint.ARROW
        level = y + 44
        xs = [self._x(i) for i in {*sources, *targets}]
        left, right = min(xs), max(xs)
        marks: list[str] = []
        for index in {*sources} & {*targets}:  # nodes that send to each other share a lane
            marks.append(drawing.loop(self._x(index), level, 44, paint, thickness=thickness, dashed=sealed))
            marks.append(drawing.head_side(self._x(index), level + 10, paint, leftwards=True))
        if left != right:
            marks.append(drawing.line(left, level, right, level, paint, thickness=thickness, dashed=sealed))
        marks += [
            drawing.head_side(self._x(index), level, paint, leftwards=index < max(sources))
            for index in sorted({*targets} - {*sources})
        ]
        marks += [drawing.dot(self._x(index), level, paint) for index in sources]
        first = level - 10 - 14 * (len(label) - 1)
        words = [
            drawing.text(
                (left + right) // 2, first + 14 * n, part, size=11, bold=n == 0, middle=True, halo=True, chars=36
            )
            for n, part in enumerate(label)
        ]
        return [drawing.group(*marks, *words, tooltip=tooltip)]


def _took(measure: StageMeasureDocument | None, sites: tuple[str, ...]) -> str:
    """Return how long a stage took at some of its sites."""
    if measure is None:
        return ""
    at = sorted(site.total_ms for site in measure.sites if site.node in sites)
    if not at:
        return milliseconds(measure.total_ms)
    return milliseconds(at[0]) if len(at) == 1 else f"{milliseconds(at[0])} to {milliseconds(at[-1])}"


def _sent(measure: StageMeasureDocument, exchange: ExchangeDocument) -> str:
    """Return what was measured of an exchange. Its rows are those of its stage: sealed ones are not counted."""
    if measure.rows is None and exchange.measured_bytes is None:
        return "not told"
    return f"{_rows(measure.rows)}, {_bytes(exchange.measured_bytes)}"


def _details(stage: StageDocument, sites: tuple[str, ...], measure: StageMeasureDocument | None) -> str:
    sql = stage.sql if len(stage.sql) <= TOOLTIP_CHARS else stage.sql[:TOOLTIP_CHARS] + " ..."
    found = [f"{stage.stage_id} {stage.kind}", sql]
    at = [site for site in measure.sites if site.node in sites] if measure is not None else []
    found += _few(
        f"{s.node}: {_rows(s.rows)}, {_bytes(s.bytes)}, engine {milliseconds(s.engine_ms)}, "
        f"waiting {milliseconds(s.waiting_ms)}"
        for s in at
    )
    if measure is not None and not at:
        found.append(f"{_rows(measure.rows)}, {milliseconds(measure.total_ms)} {measure.executor}".rstrip())
    return "\n".join(found)


def _allowed(exchange: ExchangeDocument) -> str:
    found = [f"{exchange.exchange_id} from {exchange.source} to {exchange.target} as {exchange.form}"]
    if exchange.sealed:
        found.append("sealed: the coordinator relays what it cannot read")
    found.append(f"allowed by: {exchange.rule}")
    found += exchange.learns
    if exchange.certificate is not None:
        found += _few(exchange.certificate.rules)
    return "\n".join(found)


def _names(sites: tuple[str, ...]) -> list[str]:
    return list(_few(sites))


def _few(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == NAMES_SHOWN:
            yield "..."
            return
        yield line


def _rows(value: int | None) -> str:
    if value is None:
        return "rows not told"
    return "1 row" if value == 1 else f"{value:,} rows"


def _bytes(value: int | None) -> str:
    """Return a size for reading.

    >>> _bytes(960), _bytes(3_100), _bytes(2_400_000)
    ('960 B', '3.1 kB', '2.4 MB')
    """
    if value is None:
        return "size not told"
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= factor:
            return f"{value / factor:,.1f} {unit}"
    return f"{value} B"
