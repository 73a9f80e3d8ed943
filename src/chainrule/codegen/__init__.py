"""Formulas and graphs as machine code: vectors written as LLVM text, compiled when first called."""
