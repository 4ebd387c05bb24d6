"""The panes, one per file."""
