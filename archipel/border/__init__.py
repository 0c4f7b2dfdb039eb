"""The border check: which statements may run at a node, and how the threshold is held inside them."""

from archipel.border.checking import check
from archipel.border.decision import BorderContext, Release
from archipel.border.refusal import Rule, all_rules

__all__ = ["BorderContext", "Release", "Rule", "all_rules", "check"]
