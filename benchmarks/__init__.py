"""Measurements that the documentation quotes: ``make bench``."""

import framework  # noqa: F401  # before NumPy, as in a program that is run by `tapebook`
