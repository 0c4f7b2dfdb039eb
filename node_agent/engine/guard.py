"""The second wall: DuckDB's own parser must find one SELECT over known tables, whatever the border check let through.

The border check decides on a tree of sqlglot's. If the two parsers ever read a text differently, or the check has a
hole, this looks at what the engine will really run. It knows nothing of policy: only that a statement reads the node's
tables and the task's inputs, and nothing else of the engine: no catalogue, setting, file or session state.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import duckdb
from sqlglot import exp

from archipel import errors

log = logging.getLogger(__name__)

TABLE_FUNCTIONS = frozenset({"generate_series", "range", "unnest"})
"""Table functions that read nothing."""

FORBIDDEN_FUNCTIONS = frozenset(
    {
        *("current_setting", "getvariable", "current_query", "current_query_id", "current_connection_id"),
        *("current_transaction_id", "txid_current", "current_schemas", "in_search_path", "stats"),
        *("nextval", "currval", "setseed", "write_log", "parse_duckdb_log_message", "error"),
        *("sleep_ms", "pg_sleep", "pg_get_viewdef", "pg_get_constraintdef", "pg_conf_load_time"),
        *("pg_postmaster_start_time", "get_block_size", "obj_description", "col_description", "shobj_description"),
        *("json_serialize_sql", "json_deserialize_sql", "json_serialize_plan", "json_execute_serialized_sql"),
    }
)
"""Functions of the engine that show or change its state, wait, or raise an error of the caller's choosing."""

_STRUCTURE = frozenset(
    {
        *("SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"),
        *("BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "EMPTY_FROM"),
        *("ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"),
        *("ORDER_DEFAULT", "ASCENDING", "DESCENDING"),
    }
)
"""Kinds of nodes that are no expressions. What is not named (SHOW_REF, PIVOT, …) is refused."""


KEPT = 512
MAX_KEPT_CHARS = 64 * 1024


class Guard:
    """Checks statements and remembers those that passed: what is read of a text never changes. Thread-safe."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._passed: OrderedDict[tuple[str, frozenset[str]], None] = OrderedDict()

    def check(self, cursor: duckdb.DuckDBPyConnection, sql: str, tables: Iterable[str]) -> None:
        """Make sure of a statement as the function ``check`` does."""
        key = (sql, frozenset(tables))
        with self._mutex:
            if key in self._passed:
                self._passed.move_to_end(key)
                return
        check(cursor, sql, key[1])
        if len(sql) <= MAX_KEPT_CHARS:
            with self._mutex:
                self._passed[key] = None
                if len(self._passed) > KEPT:
                    self._passed.popitem(last=False)


def check(cursor: duckdb.DuckDBPyConnection, sql: str, tables: Iterable[str]) -> None:
    """Make sure that ``sql`` is one SELECT that reads nothing but ``tables``.

    Raises:
        ArchipelError: BORDER_REFUSED with a fixed text.
    """
    # As hexadecimal digits the text needs no escaping; a bound parameter would make DuckDB import pandas (50 MB).
    call: exp.Expression = exp.Literal.string(sql.encode().hex())
    for function in ("from_hex", "decode", "json_serialize_sql"):
        call = exp.Anonymous(this=function, expressions=[call])
    row: Any = cursor.execute(exp.select(call).sql("duckdb")).fetchone()
    tree = json.loads(row[0])
    statements = tree.get("statements", [])
    if tree.get("error") is not False or len(statements) != 1:
        raise _refused("not one SELECT")
    _walk(statements[0], frozenset(name.lower() for name in tables))


def _walk(node: Any, known: frozenset[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _walk(item, known)
        return
    if not isinstance(node, dict):
        return
    kind = node.get("type")
    if isinstance(kind, str) and "class" not in node and kind not in _STRUCTURE and not kind.endswith("_TYPE_INFO"):
        raise _refused(f"a node of kind {kind}")
    if kind == "BASE_TABLE":
        _check_table(node, known)
    if kind == "TABLE_FUNCTION" and _function(node.get("function")) not in TABLE_FUNCTIONS:
        raise _refused("a table function")
    if "function_name" in node:
        _check_function(node)
    inner = known
    for item in (node.get("cte_map") or {}).get("map", []):
        # A CTE sees those before it; itself only when it is recursive, else its name is a table's.
        own = _folded(item.get("key"))
        recursive = _query_kind(item) == "RECURSIVE_CTE_NODE"
        _walk(item, inner | {own} if recursive else inner)
        inner |= {own}
    for key, value in node.items():
        if key != "cte_map":
            _walk(value, inner)


def _check_table(node: dict[str, Any], known: frozenset[str]) -> None:
    qualified = node.get("schema_name") or node.get("catalog_name")
    if qualified or _folded(node.get("table_name")) not in known:
        raise _refused("a table that it does not have")


def _check_function(node: dict[str, Any]) -> None:
    if _folded(node.get("catalog")) not in {"", "system"} or _folded(node.get("schema")) not in {"", "main"}:
        raise _refused("a qualified function")
    if _folded(node["function_name"]) in FORBIDDEN_FUNCTIONS:
        raise _refused("a function that reads or changes the engine's state")


def _function(node: Any) -> str:
    return _folded(node.get("function_name")) if isinstance(node, dict) else ""


def _query_kind(item: dict[str, Any]) -> str:
    value = item.get("value")
    query = value.get("query") if isinstance(value, dict) else None
    node = query.get("node") if isinstance(query, dict) else None
    return str(node.get("type")) if isinstance(node, dict) else ""


def _folded(name: Any) -> str:
    return name.lower() if isinstance(name, str) else ""


def _refused(what: str) -> errors.ArchipelError:
    log.critical("a statement that passed the border check was stopped before the engine: %s", what)
    return errors.error(errors.BORDER_REFUSED, "The node's engine does not run such a statement.")
