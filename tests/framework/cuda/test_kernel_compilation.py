"""Every ``.cu`` compiles for old and new devices; none is needed."""

from __future__ import annotations

import re

import pytest
from device_compiler import CAPABILITIES, compile_for, reason
from hosted import COMPILER, entries_of

from framework.core.registry import OPS
from framework.kernels import cuda

# Entries, without their type, that read a thread at a time what lies beside each other: by family.
_WIDE = {
    "pointwise": r"\w+", "gates": r"\w+", "optimizers": r"\w+",
    "softmax": r"\w+_(warps|blocks)", "norm": r"\w*norm\w*_(warps|blocks)|channel_norm\w*",
    "drawing": "dropout", "adding": "rows", "health": "health(_at_once)?|spread",
    "scans": "(cummax|cummin|logcumsumexp)_rows",
}  # fmt: skip
_SIXTEEN = re.compile(r"\bld(\.global)?(\.nc)?\.(v4\.[bfu]32|v2\.[bfu]64)")


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("family", cuda.FAMILIES)
def test_it_compiles_without_a_warning(family: str, capability: int) -> None:
    if problem := reason(capability):
        pytest.skip(problem)
    text, code = compile_for(capability, f"{family}.cu", cuda.source(family))
    bodies = dict(re.findall(r"\.entry (\w+)\((.*?)\n}\n", text, re.DOTALL))
    assert {e.rpartition("_")[2] for e in bodies} == set(cuda.TYPES.values())
    if code:  # which has a section for each
        assert set(re.findall(r"\.text\.(\w+)", code.decode("latin-1"))) == set(bodies)
    for entry, body in bodies.items():
        if re.fullmatch(_WIDE.get(family, ""), entry.rpartition("_")[0]):
            assert _SIXTEEN.search(body), f"{entry} does not read 16 bytes at a time"
    if COMPILER is not None:  # these and no others are compared by `test_kernel_arithmetic`
        assert set(bodies) == entries_of(family)


@pytest.mark.parametrize("family", cuda.FAMILIES)
def test_the_source_needs_no_headers(family: str) -> None:
    source = cuda.source(family)
    assert "#include" not in source
    assert source.isascii()  # CuPy writes it to a file, in whatever encoding the locale has
    assert max(map(len, source.splitlines())) <= 100 and "\t" not in source
    assert re.search(r"^KERNEL|^[A-Z]+\(", source, re.MULTILINE)


def test_the_table_names_ops_that_are_there() -> None:
    assert set(cuda.KERNELS) <= set(OPS)
    assert set(cuda.KERNELS.values()) <= set(cuda.FAMILIES)
