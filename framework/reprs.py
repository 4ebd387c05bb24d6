"""How tensors and modules show themselves in notebooks (HTML) and in Rich's consoles.

Nothing here is imported by the framework's own work, and Rich only when it asks.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

__all__ = [
    "MODULE",
    "TENSOR",
    "module_html",
    "module_rich",
    "tensor_facts",
    "tensor_html",
    "tensor_rich",
]

SHOWN = 1 << 24  # elements up to which statistics are computed for a repr


def tensor_facts(tensor: Any) -> Iterator[tuple[str, Any]]:
    """What is worth saying of a tensor in a line: type, shape, device, history, statistics.

    >>> import framework as torch
    >>> dict(tensor_facts(torch.tensor([1.0, 3.0])))["mean"]
    2.0
    """
    yield "dtype", str(tensor.dtype).removeprefix("torch.")
    yield "shape", list(tensor.shape)
    if tensor.device.type != "cpu":
        yield "device", str(tensor.device)
    if tensor.is_sparse:
        yield "nnz", tensor._data.nnz
    if tensor.requires_grad:
        node = tensor.grad_fn
        yield "grad_fn", "leaf" if node is None else type(node).__name__
    if not 0 < tensor._data.size <= SHOWN:
        return
    from framework.trace.summary import summarize

    found = summarize(tensor._data)
    if found.min is not None:
        yield from (("min", found.min), ("mean", found.mean), ("max", found.max))
    for name, count in (("nan", found.nan), ("inf", found.inf)):
        if count:
            yield name, count


def _line(tensor: Any) -> str:
    parts = []
    for name, value in tensor_facts(tensor):
        parts.append(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return " · ".join(parts)


def tensor_html(tensor: Any) -> str:
    """A line of facts, and the elements as they print: for Jupyter.

    >>> import framework as torch
    >>> print(tensor_html(torch.tensor([1, 2])))
    <div><code>dtype int64 · shape [2] · min 1 · mean 1.5 · max 2</code>
    <pre>tensor([1, 2])</pre></div>
    """
    facts, elements = html.escape(_line(tensor)), html.escape(repr(tensor))
    return f"<div><code>{facts}</code>\n<pre>{elements}</pre></div>"


def tensor_rich(tensor: Any) -> Any:
    """The elements as they print, as a Rich text: brackets are no markup there."""
    from rich.text import Text

    return Text(repr(tensor))


def _label(name: str, module: Any) -> str:
    extra = module.extra_repr()
    count = sum([p.numel() for p in module.parameters()])
    own = f"{name}: " if name else ""
    return f"{own}{type(module).__name__}({extra})" + (f" · {count:,} parameters" if count else "")


def module_html(module: Any, name: str = "") -> str:
    """The tree of modules, each with its parameters counted; parts can be folded."""
    label = html.escape(_label(name, module))
    children = [module_html(child, n) for n, child in module.named_children()]
    if not children:
        return f"<div><code>{label}</code></div>"
    inside = f'<div style="margin-left: 1.5em">{"".join(children)}</div>'
    return f"<details open><summary><code>{label}</code></summary>{inside}</details>"


def module_rich(module: Any) -> Any:
    """The tree of modules as a Rich tree."""
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text(_label("", module)))
    todo = [(root, module)]
    while todo:
        branch, parent = todo.pop()
        for name, child in parent.named_children():
            todo.append((branch.add(Text(_label(name, child))), child))
    return root


# What a notebook and Rich ask for. Within containers Rich takes the facts, not the elements.
TENSOR = {
    "_repr_html_": tensor_html,
    "__rich__": tensor_rich,
    "__rich_repr__": tensor_facts,
}
MODULE = {
    "_repr_html_": module_html,
    "__rich__": module_rich,
}
