"""The ``archipel`` command."""
