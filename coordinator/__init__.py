"""The coordinator: catalog, planner, execution and services. It never decides what a node releases."""
