"""`tapebook`, and `python -m app`, which is the same."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """The command line; an interrupt is one line and status 130 from the first import on."""
    try:
        from app.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("tapebook: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
