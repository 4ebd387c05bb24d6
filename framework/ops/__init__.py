"""Ops by family. Importing this package fills the op table and the list of public functions."""
