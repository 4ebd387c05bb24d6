"""Products of vectors and matrices: what they refuse."""

from __future__ import annotations

import pytest

import framework as torch


@pytest.mark.parametrize("shapes", [((2,), (3,)), ((2, 3), (3, 3)), ((4, 2), (3,))])
def test_inner_products_of_shapes_that_do_not_broadcast(shapes) -> None:
    x, y = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(RuntimeError, match=r"size of tensor a \(\d\) must match"):
        torch.linalg.vecdot(x, y)


def test_vector_products_of_shapes_that_do_not_broadcast() -> None:
    for cross in (torch.cross, torch.linalg.cross):
        with pytest.raises(RuntimeError, match=r"size of tensor a \(2\) must match"):
            cross(torch.zeros(2, 3), torch.zeros(4, 3), dim=1)
