"""Plans for people: the JSON form of a plan, its text and its picture, and ``EXPLAIN`` as SQL.

Works on the JSON form alone, so that the bare client can draw what a coordinator planned. It plans nothing.
"""

from archipel.explain.document import FORMAT, VERSION, PlanDocument, read
from archipel.explain.picture import svg
from archipel.explain.statement import ExplainStatement, explain_statement
from archipel.explain.text import plan_text

__all__ = [
    "FORMAT",
    "VERSION",
    "ExplainStatement",
    "PlanDocument",
    "explain_statement",
    "plan_text",
    "read",
    "svg",
]
