"""Merging what nodes delivered: one interface, two executors, one threshold."""
