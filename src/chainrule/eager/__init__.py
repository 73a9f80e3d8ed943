"""The eager engine: Tensor, backward, in-place changes."""
