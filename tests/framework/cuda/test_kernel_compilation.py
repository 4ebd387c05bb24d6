"""Every ``.cu`` compiles to machine code of the oldest and the newest devices; none is needed."""

from __future__ import annotations

import re

import pytest
from device_compiler import CAPABILITIES, compile_for, reason

from framework.core.registry import OPS
from framework.kernels import cuda


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("family", cuda.FAMILIES)
def test_it_compiles_without_a_warning(family: str, capability: int) -> None:
    if problem := reason(capability):
        pytest.skip(problem)
    source = cuda.source(family)
    code = compile_for(capability, f"{family}.cu", source)
    for kind in cuda.TYPES.values():
        assert re.search(rf"\w_{kind}\b".encode(), code), f"no entry for {kind}"


@pytest.mark.parametrize("family", cuda.FAMILIES)
def test_the_source_needs_no_headers(family: str) -> None:
    source = cuda.source(family)
    assert "#include" not in source
    assert max(map(len, source.splitlines())) <= 100 and "\t" not in source
    assert re.search(r"^KERNEL|^[A-Z]+\(", source, re.MULTILINE)


def test_the_table_names_ops_that_are_there() -> None:
    assert set(cuda.KERNELS) <= set(OPS)
    assert set(cuda.KERNELS.values()) <= set(cuda.FAMILIES)
