"""The planner: from a researcher's SQL to a plan, as a chain of pure functions."""
