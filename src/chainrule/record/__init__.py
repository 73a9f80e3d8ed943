"""From a function, or a computed tensor, to its graph."""
