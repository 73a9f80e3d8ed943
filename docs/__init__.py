"""Documentation that is generated: `python -m docs.build`."""
