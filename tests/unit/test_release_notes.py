"""What a node says of its numbers reaches the result's notices, as short lines of text and once for each node."""

from __future__ import annotations

from archipel.v1 import common_pb2, gateway_pb2
from coordinator import deliveries, outcome
from coordinator.deliveries import Expected
from coordinator.events import TaskRef
from coordinator.plan import Plan
from node_agent.delivering import _trailer
from node_agent.order import Note, Released, Withheld

EXPECTED = Expected("t1", "q1", TaskRef("s1", "north", 1), 0, {}, lambda delivery: None, lambda problem: None)


def delivered(*notes: Note) -> deliveries.Delivery:
    """Return a delivery as a node makes it that has these notes to tell."""
    return deliveries.sealed({}, _trailer(Released((), Withheld(False, 0, None), 1.0, notes), ""), EXPECTED)


def test_a_node_s_notes_are_notices_of_the_result() -> None:
    note = Note("rounding", "counts and sums are rounded to multiples of 5")
    told = {("s1", "north"): delivered(note, note), ("s2", "north"): delivered(note), ("s1", "south"): delivered()}
    coverage = outcome.Coverage({"north": "N", "south": "S"})
    info = outcome.result_info(Plan("", (), (), "s1", ()), told, coverage, merged_by="process", elapsed_ms=1.0)
    assert [(notice.kind, notice.node, notice.text) for notice in info.notices] == [
        ("rounding", "north", "Node 'north': counts and sums are rounded to multiples of 5.")
    ]
    assert info.complete


def test_notes_are_cut_to_a_few_short_lines() -> None:
    notes = [common_pb2.ReleaseNote(kind="k" * 99, text="a\x1b[31m\n" + "b" * 9999) for _ in range(99)]
    found = deliveries.sealed({}, gateway_pb2.DeliverTrailer(notes=notes), EXPECTED).notes
    assert len(found) == deliveries.MAX_NOTES
    assert all(len(note.kind) <= 32 and len(note.text) <= deliveries.MAX_NOTE_CHARACTERS for note in found)
    assert all(note.text.isprintable() for note in found)
