"""Checks of derivatives: of a function, of a rule, of the whole table."""
