"""Exports a module and compares with ONNX's reference implementation and with our reader."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

import framework as torch
from framework.utils._pytree import tree_flatten


def leaves(result: Any) -> list[Any]:
    return [x for x in tree_flatten(result)[0] if x is not None]


def check(
    module: Any, args: tuple, path: Any, others: tuple = (), reference: bool = True,
    tolerance: float = 1e-4, **options: Any,
) -> Any:  # fmt: skip
    """Export to a path and compare for ``args`` and for each of ``others``; returns the program."""
    module.eval()
    program = torch.onnx.export(module, args, path, **options)
    onnx.checker.check_model(str(path), full_check=True)
    again = torch.onnx.load(path)
    for given in (args, *others):
        with torch.no_grad():
            wanted = leaves(module(*given))
            found = {"load": leaves(again(*leaves(given)))}
        if reference:
            found["reference"] = list(program(*given))
        for who, outs in found.items():
            assert len(outs) == len(wanted)
            for i, (ours, theirs) in enumerate(zip(wanted, outs)):
                what = f"{who}, output {i}"
                assert ours.shape == theirs.shape and ours.dtype is theirs.dtype, what
                np.testing.assert_allclose(
                    theirs.detach().numpy(), ours.detach().numpy(), tolerance, tolerance / 10,
                    err_msg=what,
                )  # fmt: skip
    return program


def longer(args: tuple, axes: Any, by: int = 4) -> tuple:
    """The arguments with some axes longer, by repeating elements."""
    made = []
    for tensor in args:
        array = tensor.numpy()
        for d in axes:
            array = array.take(np.arange(array.shape[d] + by) % array.shape[d], axis=d)
        made.append(torch.tensor(array.copy()))
    return tuple(made)
