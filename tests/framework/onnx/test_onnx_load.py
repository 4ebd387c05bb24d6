"""`framework.onnx.load`: modules that train, and graphs that other programs write."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import framework as torch
from framework import nn
from framework.onnx import OnnxError

F32 = TensorProto.FLOAT


def array(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def model_of(nodes, inputs, weights=None, outputs=("y",), opset=18):
    """A ModelProto of nodes; inputs: name: shape of float32; weights: name: array."""
    kinds = {np.dtype(np.int64): TensorProto.INT64, np.dtype(np.float32): F32,
             np.dtype(np.bool_): TensorProto.BOOL}  # fmt: skip
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(n, kinds[a.dtype], a.shape) for n, a in inputs.items()],
        [helper.make_empty_tensor_value_info(o) for o in outputs],
        [numpy_helper.from_array(a, n) for n, a in (weights or {}).items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def loaded(model, path):
    path.write_bytes(model.SerializeToString())
    return torch.onnx.load(path)


def agrees(model, inputs, path, tolerance=1e-4):
    wanted = ReferenceEvaluator(model).run(None, dict(inputs))
    with torch.no_grad():
        found = loaded(model, path)(*[torch.tensor(a) for a in inputs.values()])
    for ours, theirs in zip(found if isinstance(found, tuple) else (found,), wanted):
        np.testing.assert_allclose(ours.numpy(), theirs, tolerance, tolerance)


def test_a_loaded_model_trains_as_the_original(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(),
                        nn.Linear(12, 2)).eval()  # fmt: skip
    x = torch.randn(5, 1, 4, 4)
    torch.onnx.export(net, (x,), tmp_path / "m.onnx")
    again = torch.onnx.load(tmp_path / "m.onnx")
    assert {n for n, _ in again.named_parameters()} == {n for n, _ in net.named_parameters()}
    assert {n for n, _ in again.named_buffers()} == {"1.running_mean", "1.running_var"}
    for model in (net, again):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    found = dict(again.named_parameters())
    for name, p in net.named_parameters():
        assert torch.allclose(p, found[name], atol=1e-5), name
    net.load_state_dict(again.state_dict(), strict=False)


def test_inputs_have_gradients(tmp_path):
    model = model_of([helper.make_node("Mul", ["x", "x"], ["y"])], {"x": array(3)})
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    loaded(model, tmp_path / "m.onnx")(x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


N = helper.make_node
X = array(2, 3, 4)
I64 = lambda *v: np.array(v, np.int64)  # noqa: E731

# Nodes that our exporter does not write, or writes otherwise.
FOREIGN = {
    "gelu": ([N("Gelu", ["x"], ["y"], approximate="tanh")], X, {}, 20),
    "hardmax": ([N("Hardmax", ["x"], ["y"], axis=1)], X, {}, 18),
    "selu": ([N("Selu", ["x"], ["y"])], X, {}, 18),
    "prelu": ([N("PRelu", ["x", "w"], ["y"])], X, {"w": array(3, 1)}, 18),
    "thresholded": ([N("ThresholdedRelu", ["x"], ["y"], alpha=0.3)], X, {}, 18),
    "shrink": ([N("Shrink", ["x"], ["y"], lambd=0.5, bias=0.2)], X, {}, 18),
    "mean": ([N("Mean", ["x", "w"], ["y"])], X, {"w": array(4)}, 18),
    "sum": ([N("Sum", ["x", "w", "x"], ["y"])], X, {"w": array(4)}, 18),
    "old reduce": ([N("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)], X, {}, 13),
    "square sum": ([N("ReduceSumSquare", ["x"], ["y"], axes=[-1])], X, {}, 13),
    "last place": ([N("ArgMax", ["x"], ["y"], axis=2, select_last_index=1)], X.round(), {}, 18),
    "scan": ([N("CumSum", ["x", "d"], ["y"], exclusive=1, reverse=1)], X, {"d": I64(2)[0]}, 18),
    "old slice": ([N("Slice", ["x"], ["y"], axes=[1, 2], starts=[1, -3], ends=[9, -1])], X, {}, 9),
    "slice back": ([N("Slice", ["x", "s", "e", "a", "t"], ["y"])], X,
                   {"s": I64(-1), "e": I64(-(1 << 60)), "a": I64(2), "t": I64(-2)}, 18),
    "old squeeze": ([N("Unsqueeze", ["x"], ["z"], axes=[0, 2]),
                     N("Squeeze", ["z"], ["y"], axes=[2])], X, {}, 11),
    "tile": ([N("Tile", ["x", "r"], ["y"])], X, {"r": I64(1, 2, 2)}, 18),
    "split": ([N("Split", ["x"], ["y", "z"], axis=2, num_outputs=2)], X, {}, 18),
    "gather negative": ([N("Gather", ["x", "i"], ["y"], axis=2)], X, {"i": I64(-1, 0)}, 18),
    "scatter nd": ([N("ScatterND", ["x", "i", "u"], ["y"])], X,
                   {"i": I64(0, 1).reshape(2, 1), "u": array(2, 3, 4)}, 18),
    "pad": ([N("Pad", ["x", "p"], ["y"], mode="reflect")], X, {"p": I64(0, 1, 0, 0, 0, 2)}, 18),
    "old pad": ([N("Pad", ["x"], ["y"], pads=[0, 0, 1, 0, 0, 2], value=1.5)], X, {}, 9),
    "eye": ([N("EyeLike", ["w"], ["e"], k=1), N("MatMul", ["x", "e"], ["y"])], X,
            {"w": array(4, 4)}, 18),
    "flatten": ([N("Flatten", ["x"], ["y"], axis=2)], X, {}, 18),
    "one hot": ([N("ArgMax", ["x"], ["a"], axis=1, keepdims=0),
                 N("OneHot", ["a", "d", "v"], ["y"], axis=0)], X,
                {"d": I64(3)[0], "v": np.array([2, 5], np.float32)}, 18),
    "range": ([N("Range", ["a", "b", "c"], ["r"]), N("Add", ["x", "r"], ["y"])], X,
              {"a": np.float32(1), "b": np.float32(3), "c": np.float32(0.5)}, 18),
    "shape": ([N("Shape", ["x"], ["s"], start=1), N("Size", ["x"], ["n"]),
               N("Add", ["s", "n"], ["y"])], X, {}, 18),
    "constant of shape": ([N("ConstantOfShape", ["s"], ["c"]), N("Add", ["x", "c"], ["y"])], X,
                          {"s": I64(2, 1, 4)}, 18),
    "einsum": ([N("Einsum", ["x", "x"], ["y"], equation="bij,bkj->bik")], X, {}, 18),
    "space": ([N("SpaceToDepth", ["x"], ["z"], blocksize=2),
               N("DepthToSpace", ["z"], ["y"], blocksize=2)], array(1, 2, 4, 6), {}, 18),
    "gemm": ([N("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=2.0, transA=1)], array(3, 2),
             {"w": array(3, 4), "b": array(4)}, 18),
    "same upper": ([N("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])],
                   array(1, 2, 7, 6), {"w": array(3, 2, 3, 4)}, 18),
    "uneven": ([N("Conv", ["x", "w"], ["y"], pads=[1, 0, 2, 1])], array(1, 2, 7, 6),
               {"w": array(3, 2, 3, 3)}, 18),
    "average": ([N("AveragePool", ["x"], ["y"], kernel_shape=[2, 3], pads=[0, 1, 1, 1])],
                array(1, 2, 5, 6), {}, 18),
    "global": ([N("GlobalMaxPool", ["x"], ["a"]), N("GlobalAveragePool", ["x"], ["b"]),
                N("Add", ["a", "b"], ["y"])], array(1, 2, 5, 6), {}, 18),
    "instance": ([N("InstanceNormalization", ["x", "w", "b"], ["y"])], X,
                 {"w": array(3), "b": array(3)}, 18),
    "response": ([N("LRN", ["x"], ["y"], size=3, alpha=0.1)], array(5, 5, 3, 3), {}, 18),
    "group": ([N("GroupNormalization", ["x", "w", "b"], ["y"], num_groups=2)], array(2, 4, 3),
              {"w": array(4), "b": array(4)}, 21),
    "gru": ([N("GRU", ["x", "w", "r", "b"], ["y"], hidden_size=3, linear_before_reset=1)], X,
            {"w": array(1, 9, 4), "r": array(1, 9, 3), "b": array(1, 18)}, 18),
    "is inf": ([N("IsInf", ["z"], ["y"], detect_positive=0)], X,
               {"z": np.array([-np.inf, 1, np.inf], np.float32)}, 18),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_graph(name, tmp_path):
    nodes, x, weights, opset = FOREIGN[name]
    weights = {n: np.asarray(a) for n, a in weights.items()}
    outputs = nodes[-1].output if len(nodes) == 1 else ("y",)
    model = model_of(nodes, {"x": x}, weights, tuple(outputs), opset)
    agrees(model, {"x": x}, tmp_path / "m.onnx")


def test_an_old_softmax_is_over_all_dimensions_from_its_axis_on(tmp_path):
    model = model_of([N("Softmax", ["x"], ["y"], axis=1)], {"x": X}, opset=9)
    found = loaded(model, tmp_path / "m.onnx")(torch.tensor(X)).numpy()
    powers = np.exp(X)
    np.testing.assert_allclose(found, powers / powers.sum((1, 2), keepdims=True), 1e-5)


def test_elements_in_all_the_ways_that_tensors_have_them(tmp_path):
    kinds = [
        helper.make_tensor("a", TensorProto.FLOAT16, [2], [1.5, -2.0]),
        helper.make_tensor("b", TensorProto.BFLOAT16, [2], [1.5, -2.0]),
        helper.make_tensor("c", TensorProto.DOUBLE, [2], [1.5, -2.0]),
        helper.make_tensor("d", TensorProto.BOOL, [2], [1, 0]),
        helper.make_tensor("e", TensorProto.INT8, [2], [-1, 7]),
        helper.make_tensor("f", TensorProto.UINT64, [2], [1, 1 << 63]),
        numpy_helper.from_array(np.array([[True], [False]]), "g"),
    ]
    graph = helper.make_graph(
        [N("Identity", [t.name], [f"out_{t.name}"]) for t in kinds], "g", [],
        [helper.make_empty_tensor_value_info(f"out_{t.name}") for t in kinds], kinds,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    outs = loaded(model, tmp_path / "m.onnx")()
    assert [o.dtype for o in outs] == [
        torch.float16, torch.bfloat16, torch.float64, torch.bool, torch.int8, torch.uint64,
        torch.bool,
    ]  # fmt: skip
    assert [o.tolist() for o in outs] == [
        [1.5, -2.0], [1.5, -2.0], [1.5, -2.0], [True, False], [-1, 7], [1, 1 << 63],
        [[True], [False]],
    ]  # fmt: skip


def test_names_that_no_attribute_can_have(tmp_path):
    weights = {name: array(2) for name in ("a", "a.b", "forward", "::/x y")}
    nodes = [N("Sum", list(weights), ["y"])]
    model = loaded(model_of(nodes, {}, weights), tmp_path / "m.onnx")
    np.testing.assert_allclose(model().detach().numpy(), sum(weights.values()), 1e-6)
    assert len(list(model.parameters())) == 4


def test_wrong_arguments_are_named(tmp_path):
    model = loaded(model_of([N("Neg", ["x"], ["y"])], {"x": X}), tmp_path / "m.onnx")
    for args, words in (
        ((), "has 1 inputs ('x'), but 0 were given"),
        (
            (torch.zeros(2, 3, 4, dtype=torch.int64),),
            "declared as torch.float32, but got torch.int64",
        ),
        ((torch.zeros(2, 3),), "declared with the shape [2, 3, 4], but got [2, 3]"),
        ((X,), "must be a tensor, not ndarray"),
    ):
        with pytest.raises(OnnxError) as caught:
            model(*args)
        text = str(caught.value)
        assert words in text and text.startswith(f"{tmp_path}/m.onnx: ") and "\n" not in text


def test_onnx_s_own_writer_of_external_data_is_understood(tmp_path):
    model = model_of([N("Add", ["x", "w"], ["y"])], {"x": array(500)}, {"w": array(500)})
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=100)
    assert len(list(tmp_path.iterdir())) == 2
    found = torch.onnx.load(tmp_path / "m.onnx")(torch.tensor(array(500)))
    np.testing.assert_allclose(found.detach().numpy(), 2 * array(500), 1e-6)
