"""A federation of real processes around the ward, with a collector of what they measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attack_ward as ward
from otlp_receiver import Receiver

from archipel.demo.layout import Layout, NodeSetup, write_layout
from archipel.demo.processes import LocalFederation

RULES: dict[str, Any] = {"ledger": {"differences": "allow"}}
"""What the policy says of the whole node: no memory of earlier questions, since each case is to stand for itself."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The processes, what they send to their collector, and the file of the ward's stays."""

    federation: LocalFederation
    layout: Layout
    receiver: Receiver
    stays: Path


def running(directory: Path) -> Iterator[Stack]:
    """Start coordinator and nodes, of which one holds the ward, and end them afterwards.

    Its holder lets nobody be told how many groups were withheld: that number may differ by one person.
    """
    written = ward.write(directory / "hospital")
    silent = tuple(dataclasses.replace(t, policy={**t.policy, "tell_withheld_count": False}) for t in written.tables)
    setup = dataclasses.replace(written, tables=silent, policy=RULES)
    open_tables = tuple(table for table in setup.tables if table.name == "regions")
    other = NodeSetup(ward.OTHER_NODE, "Other made-up hospital", open_tables)
    receiver = Receiver()
    collector = {"otlp_endpoint": f"127.0.0.1:{receiver.port}", "insecure": True, "metrics_interval_s": 3600}
    layout = write_layout(
        directory / "made", [setup, other], researcher="mallory", project="attack", telemetry=collector
    )
    try:
        with LocalFederation(layout) as federation:
            yield Stack(federation, layout, receiver, directory / "hospital" / "data" / "stays.parquet")
    finally:
        receiver.close()
