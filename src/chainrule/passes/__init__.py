"""Passes: Graph → Graph with the same meaning."""
