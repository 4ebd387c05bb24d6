"""What an op keeps for its backward: which tensors, from its event and the op table."""

from __future__ import annotations

from collections.abc import Callable

from framework.trace.events import Op

__all__ = ["is_view", "saved_by"]


def saved_by(op: Op, wants_gradient: Callable[[int], bool]) -> tuple[int, ...]:
    """The ids of the tensors that an op's node holds until backward has passed it.

    Args:
        wants_gradient: whether the tensor of an id has a gradient to be found.

    An op that the table does not know (of another program's recording) saves nothing that could be
    told.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     a = torch.ones(2, requires_grad=True)
    ...     b = a.exp() * a
    >>> exp, mul = [e for e in tape.read() if isinstance(e, Op) and e.node]
    >>> [len(saved_by(e, lambda tensor: True)) for e in (exp, mul)]  # its result; both factors
    [1, 2]
    """
    from framework.core.registry import OPS

    known = OPS.get(op.name)
    if known is None or known.grad is None or not op.node:
        return ()
    plan = known.plan(tuple([bool(i) and wants_gradient(i) for i in op.inputs]))
    ins = [op.inputs[i] for i in plan.inputs if i < len(op.inputs)]
    outs = [op.outputs[i].id for i in plan.outputs if i < len(op.outputs)]
    return tuple([i for i in dict.fromkeys([*ins, *outs]) if i])


def is_view(name: str) -> bool:
    """Whether an op's result lives in the memory of its first input."""
    from framework.core.registry import OPS

    return name in OPS and OPS[name].view
