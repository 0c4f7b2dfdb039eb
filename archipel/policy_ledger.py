"""The part of a policy about asking many times: what earlier answers forbid, what a permit may ask, what is kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archipel import configuration


class LedgerRules(configuration.Section):
    """What the node's ledger of earlier answers demands. See ledger.md."""

    differences: Literal["refuse", "allow"] = "refuse"
    """`refuse`: no answer of which a group differs from an earlier one by fewer persons than the threshold. `allow`:
    such answers are given; for data about nobody, such as made-up data in tests."""
    whole_tables: Literal["known", "unknown"] = "known"
    """Whether everybody in a table counts as an earlier answer: then no group is released that all but a few belong to.
    `unknown`: only after somebody has asked for all of them."""
    max_queries: int = Field(default=10_000, ge=1)
    """Questions about protected tables that one permit may ask of this node; repeating one costs nothing."""
    max_cells: int = Field(default=10_000_000, ge=1)
    """Groups that one permit may be told by this node, over all its questions."""
    max_cells_per_answer: int = Field(default=10_000, ge=1, le=100_000)
    """Groups of one answer; what comparing them takes grows with it."""
    lock_after: int = Field(default=10, ge=1)
    """After so many refused differences within `lock_window_hours` a permit is locked until it is unlocked by hand."""
    lock_window_hours: float = Field(default=24.0, gt=0)
    """See `lock_after`."""
    keep_days: int = Field(default=396, ge=1)
    """How long answers are kept after the end of their permit. What is not kept any more is not compared with."""
    max_bytes: int = Field(default=4 << 30, ge=1 << 20)
    """Most that the ledger takes on disk; when it is full, nothing new is answered."""
