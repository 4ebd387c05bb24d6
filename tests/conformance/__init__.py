"""How close the framework is to PyTorch, measured with PyTorch's own samples.

    python -m tests.conformance                        every suite, the scores, exit status
    python -m tests.conformance op_db --op add --op div   one family of PyTorch's op_db, in detail
    python -m tests.conformance --help

Needs torch (and expecttest), which is no dependency of the product: `make conformance` makes a
virtual environment of its own. `docs/conformance.md` has the scores and what is missing.
"""
