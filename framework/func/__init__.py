"""Function transforms, as in JAX: `vmap`, `grad`, `vjp`, `jvp`, jacobians, modules as functions.

>>> import framework as torch
>>> from framework.func import grad, vmap
>>> vmap(grad(lambda x: (x * x).sum()))(torch.ones(2, 3))
tensor([[2., 2., 2.],
        [2., 2., 2.]])
"""

from __future__ import annotations

from framework.func.modules import (
    functional_call,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from framework.func.rearrange import rearrange
from framework.func.transforms import (
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
)
from framework.func.vmap import vmap

__all__ = [
    "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev",
    "jvp", "linearize", "rearrange", "replace_all_batch_norm_modules_",
    "stack_module_state", "vjp", "vmap",
]  # fmt: skip
