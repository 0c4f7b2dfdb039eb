"""The plan of a query as its researcher gets it: text, JSON and picture of the same thing."""

from __future__ import annotations

import html
import json as json_module
from dataclasses import dataclass
from typing import Any

from archipel import errors, explain
from archipel.explain.statement import PlanForm


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """A plan. Of a query that was run it also says what was measured; ``query_id`` is its identifier then.

    ``json`` is the plan as JSON text, of the form that docs/plan-format.md describes. ``form`` is what ``str`` gives.
    """

    text: str
    json: str
    query_id: str = ""
    form: PlanForm = "text"

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        found: dict[str, Any] = json_module.loads(self.json)
        return found

    @property
    def svg(self) -> str:
        """The plan as a picture: SVG without scripts.

        Raises:
            ArchipelError: BAD_REQUEST when the coordinator is of a version whose plans this client does not know.
        """
        return explain.svg(explain.read(self.json))

    def __str__(self) -> str:
        if self.form == "svg":
            return self.svg
        return json_module.dumps(self.to_dict(), indent=1, ensure_ascii=False) if self.form == "json" else self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg
        except errors.ArchipelError:
            return None  # a newer coordinator's plan: its text can still be shown

    def _repr_html_(self) -> str:
        text = f"<pre>{html.escape(self.text)}</pre>"
        picture = self._repr_svg_()
        return text if picture is None else f"<div>{picture}<details><summary>as text</summary>{text}</details></div>"
