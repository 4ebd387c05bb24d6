"""Models to and from ONNX files.

`export` runs a model and writes what its ops did; `load` makes a module of a file, which runs with
our ops. Both need the package ``onnx`` (``pip install 'tapebook[onnx]'``), which is only imported
then.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from framework.onnx.errors import OnnxError, OnnxExporterError

__all__ = [
    "ONNXProgram", "OnnxError", "OnnxExporterError", "OperatorExportTypes", "TrainingMode",
    "export", "is_in_onnx_export", "load",
]  # fmt: skip


class TrainingMode(enum.IntEnum):
    """The mode that `export` runs a model in.

    >>> import framework as torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout())
    >>> mode = torch.onnx.TrainingMode.EVAL
    >>> program = torch.onnx.export(model, (torch.ones(1, 2),), training=mode)
    >>> "Dropout" in [node.op_type for node in program.model_proto.graph.node]
    False
    """

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


class OperatorExportTypes(enum.IntEnum):
    """Which operators may be written; only ONNX's own are.

    >>> import framework as torch
    >>> torch.onnx.OperatorExportTypes.ONNX.name
    'ONNX'
    """

    ONNX = 0
    ONNX_ATEN = 1
    ONNX_ATEN_FALLBACK = 2
    ONNX_FALLTHROUGH = 3


_exporting = False


def is_in_onnx_export() -> bool:
    """Whether a model is being run by `export`.

    >>> import framework as torch
    >>> class Model(torch.nn.Module):
    ...     def forward(self, x):
    ...         print(torch.onnx.is_in_onnx_export())
    ...         return x * 2
    >>> _ = torch.onnx.export(Model(), (torch.ones(1),))
    True
    True
    >>> torch.onnx.is_in_onnx_export()
    False
    """
    return _exporting


def export(
    model: Any,
    args: tuple[Any, ...] = (),
    f: Any = None,
    *,
    kwargs: dict[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamo: bool = True,
    external_data: bool = True,
    dynamic_shapes: Any = None,
    custom_translation_table: Any = None,
    report: bool = False,
    optimize: bool = True,
    verify: bool = False,
    profile: bool = False,
    dump_exported_program: bool = False,
    artifacts_dir: Any = ".",
    export_params: bool = True,
    keep_initializers_as_inputs: bool = False,
    dynamic_axes: Mapping[str, Any] | None = None,
    training: TrainingMode = TrainingMode.EVAL,
    operator_export_type: OperatorExportTypes = OperatorExportTypes.ONNX,
    do_constant_folding: bool = True,
    custom_opsets: Mapping[str, int] | None = None,
    export_modules_as_functions: Any = False,
    autograd_inlining: bool = True,
) -> Any:
    """Write a model as an ONNX graph of what it does with ``args``; returns an `ONNXProgram`.

    The model runs in eval mode and without autograd, and is left as it was. What Python code
    decides while it runs is fixed; parameters and buffers become initializers with their names.

    With dynamic axes it also runs at some other sizes of these (with repeated elements), and every
    size in the graph is written as what it follows from. Ops that depend on the sizes in another
    way are an error, as are ops that ONNX has no nodes for: all of them, with their source lines.

    Args:
        args: the model's arguments; what is no tensor is fixed.
        f: a path, which is written atomically, a file object, or None.
        opset_version: 18 to 28, by default 20.
        dynamic_axes: input's name: {axis: its name}, or a list of axes.
        dynamic_shapes: the same, nested as the arguments are or by input's name.
        external_data: whether weights of more than 2 GB may go to a second file, ``f`` + ".data".
        export_params: whether the initializers are written.
        keep_initializers_as_inputs: let the initializers be inputs too.
        do_constant_folding: write what is computed from constants alone as its result.
        training: the mode to run in.
        verify: compare the result of ONNX's reference implementation with the model's.

    The other arguments are PyTorch's and have no effect here.

    Raises:
        OnnxExporterError: the model cannot be written.
        ImportError: the package ``onnx`` is missing.

    Floating, integer and bool dtypes that ONNX has; complex ones are an OnnxExporterError.

    >>> import framework as torch
    >>> model, x = torch.nn.Linear(3, 2), torch.ones(4, 3)
    >>> program = torch.onnx.export(model, (x,), input_names=["x"], dynamic_axes={"x": {0: "n"}})
    >>> [node.op_type for node in program.model_proto.graph.node]
    ['Gemm', 'Identity']
    """
    from framework.onnx import exporter

    global _exporting
    if custom_translation_table or custom_opsets:
        raise OnnxExporterError("export: custom translations are not supported")
    before, _exporting = _exporting, True
    try:
        made = exporter.export_model(
            model, args, f, kwargs, verbose, input_names, output_names, opset_version,
            external_data, dynamic_shapes, export_params, keep_initializers_as_inputs,
            dynamic_axes, training, do_constant_folding,
        )  # fmt: skip
    finally:
        _exporting = before
    if verify:
        exporter.verify(made, model, args, kwargs or {})
    return made


def load(path: Any) -> Any:
    """A module that runs the graph of an ONNX file with our ops (PyTorch has no such function).

    Its arguments are the graph's inputs, in their order; the result is the output, or a tuple of
    them. Initializers of floating point with at least one dimension are parameters, but for the
    running moments of batch norms; all others are buffers. They are named as in the file.

    The file is data: nothing in it is executed, external data is read from the file's own folder
    only, and all declared sizes are checked before anything is read.

    Raises:
        OnnxError: the file is no model that can be run here; one line says why.
        ImportError: the package ``onnx`` is missing.

    >>> import tempfile, framework as torch
    >>> with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
    ...     program = torch.onnx.export(torch.nn.Linear(3, 2), (torch.ones(4, 3),), file.name)
    ...     model = torch.onnx.load(file.name)
    >>> [name for name, _ in model.named_parameters()], model(torch.ones(4, 3)).shape
    (['weight', 'bias'], torch.Size([4, 2]))
    """
    from framework.onnx import importer

    return importer.load(path)


def __getattr__(name: str) -> Any:
    if name == "ONNXProgram":
        from framework.onnx.exporter import ONNXProgram

        return ONNXProgram
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
