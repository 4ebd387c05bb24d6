"""`framework.onnx.export`: whole models, names, dynamic axes, what is refused, files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from agreement import check, longer

import framework as torch
from framework import nn
from framework.onnx import OnnxExporterError, files

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT))
from tests.models.loading import load  # noqa: E402


class Of(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, *args):
        return self.call(*args)


def ids(*shape):
    return torch.tensor(np.random.default_rng(0).integers(0, 9, shape))


def normal(*shape):
    return torch.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


class Decoder(nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, z):
        return self.vae.decode(z)


# File of tests/models: the module of what it builds, arguments, dynamic axes per input.
MODELS = {
    "gpt": (lambda m: m.build(), (ids(2, 8),), ({0: "batch", 1: "time"},)),
    "gpt without flash": (lambda m: m.build(flash=False), (ids(2, 8),), ({0: "batch", 1: "time"},)),
    "resnet": (lambda m: m.build(), (normal(2, 1, 12, 12),), ({0: "n", 2: "h", 3: "w"},)),
    "vae": (lambda m: Decoder(m.build()), (normal(3, 5),), ({0: "n"},)),
    "dcgan": (lambda m: m.build()["G"], (normal(2, 8, 1, 1),), ({0: "n"},)),
    "dcgan critic": (lambda m: m.build()["D"], (normal(2, 1, 16, 16),), ({0: "n"},)),
    "lstm_lm": (
        lambda m: m.build(), (ids(5, 3), (normal(2, 3, 16), normal(2, 3, 16))),
        ({0: "t", 1: "n"}, {1: "n"}, {1: "n"}),
    ),
    "gcn": (lambda m: m.build(), (normal(9, 6), ids(2, 20)), ({0: "nodes"}, {1: "edges"})),
    "actor_critic": (lambda m: m.build(), (normal(3, 4),), ({0: "n"},)),
}  # fmt: skip


def with_moments(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_a_model(name, tmp_path):
    torch.manual_seed(0)
    build, args, axes = MODELS[name]
    model = with_moments(build(load(name.split()[0])))
    names = [f"in{i}" for i in range(len(axes))]
    others = []
    if name != "lstm_lm":
        others.append(tuple(longer((a,), [max(d)] if len(d) > 1 else list(d))[0]
                            for a, d in zip(args, axes)))  # fmt: skip
    program = check(
        model, args, tmp_path / "m.onnx", others, input_names=names,
        dynamic_axes=dict(zip(names, axes)),
    )  # fmt: skip
    graph = program.model_proto.graph
    declared = [[d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]
                for i in graph.input]  # fmt: skip
    for shape, named in zip(declared, axes):
        assert all(shape[d] == name for d, name in named.items())
    known = dict(model.state_dict())
    assert graph.initializer and all(i.name in known for i in graph.initializer)


def test_a_language_model_runs_at_any_length(tmp_path):
    model = load("lstm_lm").build().eval()
    state = (normal(2, 3, 16), normal(2, 3, 16))
    torch.onnx.export(
        model, (ids(5, 3), state), tmp_path / "m.onnx", input_names=["ids", "h", "c"],
        output_names=["scores", "h1", "c1"], dynamic_axes={"ids": {0: "time"}},
    )  # fmt: skip
    again = torch.onnx.load(tmp_path / "m.onnx")
    assert again.output_names == ["scores", "h1", "c1"]
    scores, h, _ = again(ids(11, 3), *state)
    wanted, (last, _) = model(ids(11, 3), state)
    assert torch.allclose(scores, wanted, atol=1e-5) and torch.allclose(h, last, atol=1e-5)


@pytest.mark.parametrize("opset", [18, 21, 22, 24, 28])
def test_opsets(opset, tmp_path):
    torch.manual_seed(0)
    check(load("resnet").build(), (normal(2, 1, 12, 12),), tmp_path / "r.onnx", opset_version=opset)
    check(load("gpt").build(), (ids(2, 8),), tmp_path / "g.onnx", opset_version=opset)


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    model.train()
    model[1].eval()
    torch.manual_seed(1)
    before = [p.clone() for p in model.state_dict().values()]
    state = torch.get_rng_state()
    x = normal(3, 2)
    torch.onnx.export(model, (x,), training=torch.onnx.TrainingMode.TRAINING)
    assert model.training and not model[1].training and torch.is_grad_enabled()
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values()))
    assert torch.equal(state, torch.get_rng_state()) and torch.equal(x, normal(3, 2))
    assert "_layers" not in vars(model[0])


def test_training_mode_writes_dropout_and_the_batch_s_moments():
    model = nn.Sequential(nn.BatchNorm1d(2, affine=False), nn.Dropout(0.5))
    program = torch.onnx.export(
        model, (normal(3, 2),), training=torch.onnx.TrainingMode.TRAINING
    )  # fmt: skip
    kinds = {n.op_type for n in program.model_proto.graph.node}
    assert "Dropout" in kinds and "BatchNormalization" not in kinds


def test_names_and_options():
    model = nn.Linear(2, 3)
    program = torch.onnx.export(model, (normal(4, 2),), output_names=["y"])
    graph = program.model_proto.graph
    assert [i.name for i in graph.input] == ["input"]  # as forward calls it
    assert [o.name for o in graph.output] == ["y"]
    assert {i.name for i in graph.initializer} == {"weight", "bias"}
    kept = torch.onnx.export(model, (normal(4, 2),), keep_initializers_as_inputs=True)
    assert {i.name for i in kept.model_proto.graph.input} == {"input", "weight", "bias"}
    bare = torch.onnx.export(model, (normal(4, 2),), export_params=False)
    assert not bare.model_proto.graph.initializer and len(bare.model_proto.graph.input) == 3
    named = torch.onnx.export(model, (), kwargs={"input": normal(4, 2)})
    assert [i.name for i in named.model_proto.graph.input] == ["input"]
    stream = io.BytesIO()
    torch.onnx.export(model, (normal(4, 2),), stream, verify=True)
    onnx.checker.check_model(stream.getvalue())
    by_shapes = torch.onnx.export(model, (normal(4, 2),), dynamic_shapes={"input": {0: "n"}})
    assert by_shapes.model_proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_names_of_dynamic_axes():
    model = Of(lambda x, y: (x + y, torch.cat([x, y], 1)))
    program = torch.onnx.export(
        model, (normal(2, 3), normal(2, 3)), input_names=["x", "y"], output_names=["s", "c"],
        dynamic_axes={"x": {0: "n", 1: "m"}, "y": {0: "n", 1: "m"}, "c": {-1: "twice"}},
    )  # fmt: skip
    shapes = [[d.dim_param for d in o.type.tensor_type.shape.dim]
              for o in program.model_proto.graph.output]  # fmt: skip
    assert shapes == [["n", "m"], ["n", "twice"]]
    listed = torch.onnx.export(nn.Linear(3, 1), (normal(2, 3),), dynamic_axes={"input": [0]})
    shape = listed.model_proto.graph.input[0].type.tensor_type.shape
    assert shape.dim[0].dim_param == "input_dynamic_axes_1" and shape.dim[1].dim_value == 3
    with pytest.warns(UserWarning, match="Provided key z for dynamic axes is not a valid"):
        torch.onnx.export(nn.Linear(3, 1), (normal(2, 3),), dynamic_axes={"z": [0]})


def test_constants_are_folded_unless_told_otherwise():
    model = Of(lambda x: x + torch.tensor([1.0, 2.0]).exp())
    kinds = lambda p: [n.op_type for n in p.model_proto.graph.node]  # noqa: E731
    assert "Exp" not in kinds(torch.onnx.export(model, (normal(2),)))
    assert "Exp" in kinds(torch.onnx.export(model, (normal(2),), do_constant_folding=False))


def test_what_nothing_depends_on_is_not_written():
    program = torch.onnx.export(Of(lambda x: (x.fft if False else x.tan(), x + 1)[1]), (normal(2),))
    assert [n.op_type for n in program.model_proto.graph.node] == ["Constant", "Add", "Identity"]


def test_all_ops_without_a_translation_are_listed_with_their_lines():
    def call(x):
        y = torch.special.i0(x)
        z = torch.linalg.inv(y.relu())
        return torch.special.digamma(z)

    with pytest.raises(OnnxExporterError) as caught:
        torch.onnx.export(Of(call), (torch.eye(3) + 1,))
    text = str(caught.value)
    line = call.__code__.co_firstlineno
    for name, offset in (("i0", 1), ("inv", 2), ("digamma", 3)):
        assert f"{name} (test_onnx_export.py:{line + offset}): has no translation" in text
    assert "relu" not in text and "\n" not in text


def test_complex_numbers_are_refused():
    with pytest.raises(OnnxExporterError, match=r"no operators for complex64|complex"):
        torch.onnx.export(Of(lambda x: x * 2), (torch.ones(2, dtype=torch.complex64),))


def test_what_depends_on_values_is_announced():
    with pytest.warns(UserWarning, match=r"depends on the values .* at test_onnx_export.py:\d+"):
        torch.onnx.export(Of(lambda x: x * float(x[0])), (torch.arange(1.0, 4.0),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.onnx.export(Of(lambda x: x * 2), (normal(3),))


def test_what_depends_on_a_dynamic_axis_in_other_ways_is_refused():
    def loop(x):
        total = x[0]
        for i in range(1, x.shape[0]):
            total = total + x[i]
        return total

    with pytest.raises(OnnxExporterError, match=r"the ops .* depend on the size of a dynamic axis"):
        torch.onnx.export(Of(loop), (normal(3, 2),), dynamic_axes={"input_0": {0: "n"}})
    strange = Of(lambda x: x * (x.shape[0] ** 3 + 7 * x.shape[0] ** 2))
    with pytest.raises(OnnxExporterError, match="in a way that is not understood"):
        torch.onnx.export(strange, (normal(3, 2),), dynamic_axes={"input_0": {0: "n"}})
    with pytest.raises(OnnxExporterError, match="does not run with another size than 3"):
        torch.onnx.export(nn.Linear(3, 1), (normal(2, 3),), dynamic_axes={"input": {1: "n"}})


def test_wrong_arguments():
    model, x = nn.Linear(2, 2), normal(1, 2)
    with pytest.raises(ValueError, match="opset version: 9"):
        torch.onnx.export(model, (x,), opset_version=9)
    with pytest.raises(TypeError, match=r"must be an nn\.Module"):
        torch.onnx.export(lambda x: x, (x,))
    with pytest.raises(ValueError, match="exceeded number of inputs"):
        torch.onnx.export(model, (x,), input_names=["a", "b"])
    with pytest.raises(ValueError, match="no dimension 4"):
        torch.onnx.export(model, (x,), dynamic_axes={"input": {4: "n"}})
    with pytest.raises(OnnxExporterError, match="only tensors can be outputs"):
        torch.onnx.export(Of(lambda x: "text"), (x,))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    torch.onnx.export(nn.Linear(2, 2), (normal(1, 2),), path)
    before = path.read_bytes()

    def refuse(*args):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        torch.onnx.export(nn.Linear(2, 2), (normal(1, 2),), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["m.onnx"]


def test_large_weights_go_to_a_second_file_or_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LIMIT", 100_000)
    model, path = nn.Sequential(nn.Linear(200, 200), nn.Linear(200, 100)), tmp_path / "m.onnx"
    with pytest.raises(ValueError, match=r"m\.onnx: the model has \d+ bytes"):
        torch.onnx.export(model, (normal(1, 200),), path, external_data=False)
    assert not os.listdir(tmp_path)
    check(model, (normal(1, 200),), path)
    assert sorted(os.listdir(tmp_path)) == ["m.onnx", "m.onnx.data"]
    assert path.stat().st_size < 10_000 and (tmp_path / "m.onnx.data").stat().st_size > 200_000


def test_without_the_package_one_line_says_how_to_get_it():
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "import framework as torch\n"
        "for call in (lambda: torch.onnx.export(torch.nn.Linear(1, 1), (torch.ones(1, 1),)),\n"
        "             lambda: torch.onnx.load('x')):\n"
        "    try: call()\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    line = "framework.onnx needs the package 'onnx': pip install 'tapebook[onnx]'\n"
    assert done.stdout == 2 * line, done.stderr


def test_an_import_of_the_framework_does_not_import_it():
    code = "import framework, sys; print([m for m in sys.modules if m.split('.')[0] == 'onnx'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n", done.stderr
