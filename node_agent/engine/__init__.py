"""Engines: what holds a node's rows. ``base`` is the interface; each engine is one module."""
