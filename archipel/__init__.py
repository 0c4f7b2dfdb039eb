"""Archipel: federated SQL over health data that stays where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archipel.client import Connection, Privacy, Query, Result, connect

__version__ = "0.1.0"
__all__ = ["Connection", "Privacy", "Query", "Result", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    # The shared modules are imported by nodes and coordinators too, which need no client.
    if name in {"connect", "Connection", "Privacy", "Query", "Result"}:
        from archipel import client

        return getattr(client, name)
    raise AttributeError(f"module 'archipel' has no attribute '{name}'")
