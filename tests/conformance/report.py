"""`docs/conformance.md` out of a complete run: the scores, and what is missing, name by name."""

from __future__ import annotations

import datetime
import platform
import tomllib
from collections import defaultdict
from pathlib import Path

import numpy as np

from tests.conformance import expected

__all__ = ["write"]

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"

INTRO = """\
# Conformance

How close `import framework as torch` is to PyTorch, measured by PyTorch's own tests and tables, by
programs made at random, by ordinary model files, and by the array API standard's suite.

    make conformance          every suite (about half an hour on two cores); writes nothing
    make conformance-quick    a capped form of every suite, a few minutes: part of CI

PyTorch {torch} is installed for this target only; it is no dependency of the product. Where it
cannot be had, its suites are counted as skipped, and say so. The array API suite is not on PyPI: it
runs from a checkout whose path the environment variable `ARRAY_API_TESTS` gives.

What is known to differ stands in `tests/conformance/expected.toml` with its reason. A run fails on
a difference that is not in the list, **and on an entry that no longer differs**: it must be taken
out. Three suites list no differences: `refusals` fails when less than the share in its file ends as
in PyTorch, `meta` and `strides` on anything that is wrong rather than absent or refused.
This page is written from a complete run by `python -m tests.conformance --write-docs`.

Of an entry of op_db a complete run takes up to 24 samples (evenly spread) for the first dtype and 8
for each further one, and at most a minute; gradcheck takes four small samples of each entry.

## Scores

Run on {date}, CPython {python}, NumPy {numpy}, PyTorch {torch} (CPU).
"""

SUITES = {
    "op_db": "PyTorch's op_db: its OpInfo samples, run by both. A name is right when values, "
    "dtypes and gradients are, for all its variants; out=, in-place twins, second gradients, error "
    "inputs and methods are compared too.",
    "gradcheck": "PyTorch's gradcheck and gradgradcheck (finite differences) round our ops.",
    "fuzz": "Random programs of views, writes in place and ops: values after each line, who "
    "raises, first and second gradients.",
    "modules": "Every public module, configuration by configuration.",
    "optimizers": "Every optimizer and scheduler, configuration by configuration.",
    "distributions": "Every distribution, transform and KL divergence.",
    "transforms": "Forward mode, vmap, Jacobians and Hessians on op_db's samples.",
    "models": "Ordinary model files with only the import line changed, loss by loss.",
    "interop": "DLPack and NumPy protocols against PyTorch.",
    "array_api": "The array API standard 2025.12.",
    "refusals": "Calls of op_db's functions that are wrong in one place (an argument of another "
    "kind, shape, type or number): both accept it, or raise the same kind of error.",
    "meta": "What op_db's results look like on the meta device: shapes and dtypes, strides.",
    "strides": "How op_db's results lie in memory on the CPU, in shape, dtype and strides.",
    "large": "Arrays of more than 4,096 elements, which compiled kernels compute: contiguous, "
    "transposed, channels innermost, with NaN and infinities; values and gradients.",
    "names": "Public names of every public module of PyTorch, those beyond `__all__` too; a module "
    "left out is one entry.",
    "table": "Every op of our table: gradients, traces, dtypes, fake cuda. Needs no PyTorch.",
}


BY_DESIGN = """\
## Differences by design, which no suite counts

- **Conjugates and negations are computed at once.** `x.conj()` is a new tensor and no view:
  `is_conj()` is False, a write to it is none to `x`, and `numpy()` takes it. Why, says
  `docs/architecture.md`.
- **Random numbers** are from the distributions that PyTorch's are from, but are other numbers.
- **Messages** have PyTorch's words with the op and the shapes added.
- **Sparse tensors** are in coordinate format only; the gradient of a sparse leaf has its sparsity.
- **Checkpoints**: `load` reads PyTorch's zip files (1.6 and later) of tensors (dense, in
  coordinates, on meta), storages, plain values and containers. Refused with a line that says what
  to save instead: a pickle or a checkpoint before 1.6, TorchScript programs, modules and other
  objects, tensors of compressed layouts, nested, quantised, of float8 or of a class of one's own,
  NumPy's arrays.
- **Linear algebra** gives results that lie in rows where LAPACK's lie in columns.
- **A weight's gradient** is accumulated before the bias's within one linear layer, after it in
  PyTorch; a write in place under `no_grad` ends tangents.
- **Within a dual level** gradients keep their history (`x.grad.requires_grad` is True after a
  `backward()`): tangents are found along it.
- **A trace shows the parts** of what runs as one compiled op without one (a whole LSTM, cross
  entropy, smooth L1): last bits of float32 may then differ.
- **A leaf that `x.data = y` gave another shape** between forward and backward: its gradient, which
  has the old shape, is refused; PyTorch keeps it in `x.grad`."""


def write(scores: list[str]) -> None:
    """Write the page: ``scores`` are the lines that a complete run printed."""
    import torch

    head = INTRO.format(
        torch=torch.__version__.partition("+")[0],
        date=datetime.date.today().isoformat(),
        python=platform.python_version(),
        numpy=np.__version__,
    )
    parts = [head]
    for line in scores:
        suite, _, text = line.partition(": ")
        parts.append(f"- **{suite}**: {text.partition('  [')[0]}  \n  {SUITES.get(suite, '')}")
    parts += ["", "## Known differences", ""]
    known = tomllib.loads(expected.FILE.read_text())
    for suite, entries in sorted(known.items()):
        parts += [f"### {suite}", "", "| name | what | why |", "|---|---|---|"]
        for name, entry in sorted(entries.items()):
            facets = ", ".join(entry["facets"])
            parts.append(f"| `{name}` | {facets} | {_cell(entry['reason'])} |")
        parts.append("")
    parts += [BY_DESIGN, "", "## Public names that are not there", "", *_names()]
    PAGE.write_text("\n".join(parts).rstrip() + "\n")


def _names() -> list[str]:
    """Absent names and modules by reason."""
    from tests.conformance import names

    groups: dict[str, list[str]] = defaultdict(list)
    for name, why in names.absent().items():
        groups[why or "not listed"].append(f"`{name}`")
    lines = ["| why | names |", "|---|---|"]
    for why, found in sorted(groups.items(), key=lambda g: -len(g[1])):
        lines.append(f"| {_cell(why)} | {' '.join(found)} |")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
