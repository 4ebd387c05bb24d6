"""Pure views of a trace: they take events or a store and return strings, spans and files."""
