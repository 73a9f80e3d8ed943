"""The tape: nodes with numbers attached, the modes in which operations are recorded, and compiled pullbacks."""
