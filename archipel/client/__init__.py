"""The researcher's Python client. Needs neither Ray, DuckDB nor sqlglot."""

from archipel.client.connection import Connection, connect
from archipel.client.explanation import Explanation
from archipel.client.model import Event, NodeInfo, NodeOutcome, Notice, QuerySummary, TableInfo
from archipel.client.query import Query
from archipel.client.result import Result

__all__ = [
    "Connection",
    "Event",
    "Explanation",
    "NodeInfo",
    "NodeOutcome",
    "Notice",
    "Query",
    "QuerySummary",
    "Result",
    "TableInfo",
    "connect",
]
