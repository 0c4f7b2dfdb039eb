"""The researcher's Python client. Needs neither Ray, DuckDB nor sqlglot."""

from archipel.client.connection import Connection, connect
from archipel.client.explanation import Explanation
from archipel.client.model import (
    Event,
    MatchRate,
    NodeInfo,
    NodeOutcome,
    Noise,
    Notice,
    QuerySummary,
    TableInfo,
)
from archipel.client.query import Query
from archipel.client.result import Result
from archipel.request import Privacy

__all__ = [
    "Connection",
    "Event",
    "Explanation",
    "MatchRate",
    "NodeInfo",
    "NodeOutcome",
    "Noise",
    "Notice",
    "Privacy",
    "Query",
    "QuerySummary",
    "Result",
    "TableInfo",
    "connect",
]
