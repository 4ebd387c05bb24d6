"""The heart: op table, dispatch, graph, views and the backward engine."""
