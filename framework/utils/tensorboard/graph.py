"""A model's ops as TensorFlow's ``GraphDef``, made from a trace of one run."""

from __future__ import annotations

from typing import Any

from framework.core.modes import no_grad
from framework.trace.events import Leaf, Op
from framework.trace.sink import recording
from framework.utils.tensorboard.records import message

__all__ = ["graph_def"]


def graph_def(model: Any, inputs: Any) -> bytes:
    """The graph: a node for each op, parameter and input, named by its module.

    Raises:
        ValueError: there is no input to run the model on.
    """
    if inputs is None:
        raise ValueError("SummaryWriter.add_graph: input_to_model is needed to run the model")
    with no_grad(), recording() as tape:
        model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)
    names: dict[int, str] = {}  # of tensors
    used: dict[str, int] = {}
    nodes = []
    root = type(model).__name__

    def named(path: str, last: str) -> str:
        name = "/".join([root, *[part for part in path.split(".")[1:] if part], last])
        used[name] = used.get(name, 0) + 1
        return name if used[name] == 1 else f"{name}_{used[name] - 1}"

    for event in tape.read():
        if isinstance(event, Leaf):
            path, _, last = event.name.rpartition(".")
            name = named(path, last or event.role)
            kind = "Parameter" if event.role == "parameter" else "IO Node"
            nodes.append(_node(name, kind, [], event.tensor))
            names[event.tensor.id] = name
        elif isinstance(event, Op):
            name = named(event.module, event.name)
            sources = [names[i] for i in event.inputs if i in names]
            nodes.append(_node(name, f"aten::{event.name}", sources, *event.outputs))
            names.update({tensor.id: name for tensor in event.outputs})
    return message((1, nodes), (4, message((1, 22))))  # the version of TensorFlow's graphs


def _node(name: str, kind: str, sources: list[str], *outputs: Any) -> bytes:
    shapes = [message((2, [message((1, n)) for n in t.shape])) for t in outputs]
    attributes = []
    if shapes:
        listed = message((1, message((7, shapes))))
        attributes = [message((1, "_output_shapes"), (2, listed))]
    return message((1, name), (2, kind), (3, sources), (5, attributes))
