"""The command line. One file per command; what they say comes from `chainrule.insight`."""
