"""The node's optional health port: see ``archipel.health``."""

from archipel.health import serve_health

__all__ = ["serve_health"]
