"""Graphs of a trace: the store, the outline with lanes, the layered layout, the exporters."""
