"""The reasons for missing names excuse what is missing, and not what people use."""

from __future__ import annotations

import re

import pytest

from tests.conformance.absent import MODULES, NAMES


@pytest.mark.parametrize(
    "name",
    """AcceleratorError Tensor.grad_dtype Tensor.module_load cond while_loop Tensor.lu
    autograd.SavedTensor sparse.FloatTensor jit.TracerWarning linalg.eig linalg.lstsq
    linalg.lu linalg.matrix_rank linalg.solve linalg.eigh nn.functional.one_hot optim.Adam
    nn.ModuleDict utils.data.DataLoader cuda.Stream autograd.graph.Node""".split(),
)
def test_documented_names_are_not_excused(name: str) -> None:
    found = [why for pattern, why in (NAMES | MODULES).items() if re.fullmatch(pattern, name)]
    assert not found


@pytest.mark.parametrize("table", [NAMES, MODULES])
def test_reasons_are_words_after_patterns(table: dict[str, str]) -> None:
    for pattern, why in table.items():
        assert re.compile(pattern) and 8 < len(why) < 120
