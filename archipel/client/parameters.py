"""The values of a query's parameters: what may be sent, and what to do instead of what may not."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Mapping, Sequence
from typing import Any

from archipel import errors
from archipel.request import Parameter

Parameters = Sequence[Any] | Mapping[str, Any]


def checked_parameters(params: Parameters | None) -> list[Parameter] | dict[str, Parameter]:
    """Return the values for ``?`` (a sequence) or ``$name`` (a mapping).

    Raises:
        InterfaceError: neither of these, or a value that is no text, number, boolean or None.
    """
    if params is None:
        return []
    if isinstance(params, Mapping):
        return {str(name): _checked(value, f"${name}") for name, value in params.items()}
    if isinstance(params, str | bytes) or not isinstance(params, Sequence):
        raise interface_error(
            f"params is of type {type(params).__name__}.",
            "Give a list for ?, or a mapping for $name.",
        )
    return [_checked(value, f"number {number}") for number, value in enumerate(params, start=1)]


def _checked(value: Any, which: str) -> Parameter:
    if isinstance(value, float) and not math.isfinite(value):
        raise interface_error(f"Parameter {which} is not a finite number.")
    if value is None or type(value) in {str, int, float, bool}:
        return value  # type: ignore[no-any-return]
    name = which if which.startswith("$") else "?"
    raise interface_error(
        f"Parameter {which} is of type {type(value).__name__}; text, numbers, booleans and None can be sent.",
        _instead(value, name),
    )


def _instead(value: Any, name: str) -> str:
    if isinstance(value, dt.datetime):
        return f"Send value.isoformat() and write CAST({name} AS TIMESTAMP) in the SQL."
    if isinstance(value, dt.date):
        return f"Send value.isoformat() and write CAST({name} AS DATE) in the SQL."
    if isinstance(value, decimal.Decimal):
        return f"Send str(value) and write CAST({name} AS DECIMAL(18, 2)) in the SQL."
    if hasattr(value, "item"):
        return "Send value.item(), the plain Python value."
    if isinstance(value, Sequence | set | frozenset):
        return "Write one parameter for each element: IN (?, ?, ?)."
    return "Convert it to one of these."


def interface_error(message: str, hint: str = "") -> errors.InterfaceError:
    """Return the error of a client that is used wrongly."""
    return errors.InterfaceError(errors.ErrorInfo(errors.BAD_REQUEST, message, hint))
