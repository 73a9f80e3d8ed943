"""Explanations: where a gradient comes from, why it has its value, and the tour of the lecture."""
