"""What a query was asked with, and what all queries share. Data only."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from archipel.permit import Permit
from archipel.request import Request
from coordinator.config import LimitsSection
from coordinator.deliveries import Deliveries
from coordinator.planning import Planning
from coordinator.registry import Registry
from coordinator.relay import Relay
from coordinator.stage_work import MergerLike
from coordinator.store import Store

RequestKey = tuple[str, str, str]
"""Permit, researcher and request_id: what makes a repeated Submit count once."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose signatures were checked, and the tokens that the nodes will check again."""

    permit: Permit
    permit_token: str
    request: Request
    request_token: str
    request_sha256: str
    researcher: str


@dataclass(frozen=True, slots=True)
class Shared:
    """What all queries share."""

    registry: Registry
    planning: Planning
    deliveries: Deliveries
    relay: Relay
    store: Store
    merger: MergerLike
    pool: Executor
    limits: LimitsSection
    results_keep_s: float
    holders: dict[str, str]
    """Holder by node, for every node that the manifest names."""
    now: Callable[[], float]
