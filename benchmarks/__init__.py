"""Figures: federated against central, overhead, merging, streaming, many nodes, memory. Run by ``make bench``."""
