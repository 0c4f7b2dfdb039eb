"""Archipel: federated SQL over health data that stays where it is."""
