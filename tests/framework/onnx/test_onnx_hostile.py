"""Files that are damaged, or made to do harm: one line that names the file and the reason."""

from __future__ import annotations

import os
import random
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import framework as torch
from framework.onnx import OnnxError

N = helper.make_node
F32, INT64 = TensorProto.FLOAT, TensorProto.INT64
ROOT = Path(__file__).parents[3]


def base(nodes=None, weights=None, inputs=("x",), outputs=("y",), **how):
    nodes = [N("Add", ["x", "w"], ["y"])] if nodes is None else nodes
    weights = [numpy_helper.from_array(np.ones(4, np.float32), "w")] if weights is None else weights
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, F32, [4]) for n in inputs],
        [helper.make_empty_tensor_value_info(n) for n in outputs], weights,
    )  # fmt: skip
    opset = [helper.make_opsetid(*how.pop("domain", ("", 18)))]
    return helper.make_model(graph, opset_imports=opset, **{"ir_version": 8} | how)


def save(model, folder):
    path = folder / "m.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def refused(path, *words):
    """Loading fails at once, with one line that names the file and says the words."""
    start = time.monotonic()
    with pytest.raises(OnnxError) as caught:
        torch.onnx.load(path)
    assert time.monotonic() - start < 5
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and text.isprintable(), text
    assert len(text) < 600 + len(str(path))
    for word in words:
        assert word in text, text


# -- external data ---------------------------------------------------------------------------


def beside(location, offset=None, length=None, dims=(4,)):
    """A model whose weight is external."""
    weight = TensorProto(name="w", data_type=F32, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            weight.external_data.add(key=key, value=str(value))
    return base(weights=[weight])


@pytest.fixture
def folder(tmp_path):
    """A folder with data, in a folder with something that nobody may read."""
    (tmp_path / "secret").write_bytes(b"s" * 64)
    inner = tmp_path / "model"
    (inner / "sub").mkdir(parents=True)
    (inner / "data").write_bytes(struct.pack("<8f", *range(8)))
    (inner / "sub" / "data").write_bytes(struct.pack("<4f", 5, 6, 7, 8))
    return inner


def test_external_data_in_the_folder_is_read(folder):
    model = torch.onnx.load(save(beside("data", 16, 16), folder))
    assert model(torch.zeros(4)).tolist() == [4.0, 5.0, 6.0, 7.0]
    model = torch.onnx.load(save(beside("sub/data"), folder))
    assert model(torch.zeros(4)).tolist() == [5.0, 6.0, 7.0, 8.0]


@pytest.mark.parametrize(
    "location",
    ["../secret", "sub/../../secret", "/etc/passwd", "./data", "", "sub//data", "a\0b", "..",
     "sub/", "..\\secret", "data/", "\\secret"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere(folder, location):
    refused(save(beside(location), folder), "'w'", "no plain path below the model's folder")


def test_links_out_of_the_folder(folder):
    os.symlink("../secret", folder / "soft")
    refused(save(beside("soft"), folder), "'soft'", "link")
    os.symlink("..", folder / "up")
    refused(save(beside("up/secret"), folder), "cannot be read")
    os.link(folder.parent / "secret", folder / "hard")
    refused(save(beside("hard"), folder), "'hard'", "hard link")


def test_what_is_no_file(folder):
    os.mkfifo(folder / "pipe")
    refused(save(beside("pipe"), folder), "no regular file")
    refused(save(beside("sub"), folder), "Is a directory")
    refused(save(beside("missing"), folder), "No such file")
    refused(save(beside("data/more"), folder), "cannot be read")


@pytest.mark.parametrize(
    "offset, length, words",
    [
        (24, None, "beyond its end"), (1 << 60, None, "beyond its end"),
        (-4, None, "no size"), ("x", None, "no size"), ("9" * 400, None, "no size"),
        ("\u0664", None, "no size"), (0, 17, "needs 16 bytes"), (0, 0, "needs 16 bytes"),
        (0, -16, "no size"),
    ],
)  # fmt: skip
def test_an_offset_or_length_out_of_range(folder, offset, length, words):
    refused(save(beside("data", offset, length), folder), words)


def test_nothing_outside_of_the_folder_is_opened(folder):
    """Asked of the interpreter itself: what it opens while each of the tricks is tried."""
    os.symlink("../secret", folder / "soft")
    places = ["../secret", "/etc/passwd", "soft", "sub/../../secret"]
    paths = []
    for i, place in enumerate(places):
        path = folder / f"m{i}.onnx"
        path.write_bytes(beside(place).SerializeToString())
        paths.append(str(path))
    code = (
        "import sys, framework as torch\n"
        "import framework.onnx.importer, google.protobuf.message, onnx\n"
        "opened = []\n"
        "sys.addaudithook(lambda e, a: opened.append(str(a[0])) if e == 'open' else None)\n"
        "for path in sys.argv[1:]:\n"
        "    try: torch.onnx.load(path); print('loaded')\n"
        "    except ValueError: pass\n"
        "print([o for o in opened if 'secret' in o or 'passwd' in o or o == 'soft'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr


# -- files -----------------------------------------------------------------------------------


def test_files_that_are_none(tmp_path):
    refused(save(b"", tmp_path), "empty")
    refused(tmp_path / "missing.onnx", "No such file")
    refused(tmp_path, "Is a directory")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx", "no regular file")
    refused("/dev/zero", "no regular file")
    refused(save(b"\x80\x02}q\x00.", tmp_path))  # a pickle
    with open(tmp_path / "large.onnx", "wb") as file:
        file.truncate(1 << 40)
    refused(tmp_path / "large.onnx", "bytes, more than")


def test_random_and_cut_and_flipped_bytes(tmp_path):
    whole = base().SerializeToString()
    draw = random.Random(0)
    for n in (1, 10, 1000, 100_000):
        refused(save(draw.randbytes(n), tmp_path))
    for end in range(1, len(whole)):
        tried(save(whole[:end], tmp_path))
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        tried(save(bytes(data), tmp_path))


def tried(path):
    """Whatever a damaged file holds: it loads and runs, or is refused in one line."""
    try:
        model = torch.onnx.load(path)
        model(*[torch.zeros(4) for _ in model.input_names])
    except OnnxError as error:
        text = str(error)
        assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < 1000


def test_deep_nesting(tmp_path):
    inner = b""
    for _ in range(3000):  # an attribute with a graph with a node with an attribute with ...
        attribute = b"\x32" + varint(len(inner)) + inner
        node = b"\x2a" + varint(len(attribute)) + attribute
        inner = b"\x0a" + varint(len(node)) + node
    refused(save(b"\x08\x08\x3a" + varint(len(inner)) + inner, tmp_path))


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


# -- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [(1 << 40,), (1 << 62, 1 << 62), (-1,), (1 << 33, 1), (1,) * 100])
def test_huge_declared_sizes(tmp_path, dims):
    """None of them is believed: memory stays as it was."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    raw = TensorProto(name="w", data_type=F32, dims=dims, raw_data=b"\0" * 16)
    typed = TensorProto(name="w", data_type=F32, dims=dims, float_data=[0.0, 0.0])
    (tmp_path / "data").write_bytes(b"\0" * 16)
    for weight in (raw, typed):
        refused(save(base(weights=[weight]), tmp_path), "'w'", "shape")
    refused(save(beside("data", dims=dims), tmp_path), "'w'")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize(
    "node, extra",
    [
        (N("ConstantOfShape", ["s"], ["y"]), [1 << 40]),
        (N("Expand", ["x", "s"], ["y"]), [1 << 40, 4]),
        (N("Tile", ["x", "s"], ["y"]), [1 << 40]),
        (N("Pad", ["x", "s"], ["y"]), [1 << 40, 0]),
        (N("OneHot", ["i", "s", "v"], ["y"]), [1 << 40]),
    ],
)
def test_a_graph_that_makes_something_huge(tmp_path, node, extra):
    weights = [
        numpy_helper.from_array(np.array(extra, np.int64), "s"),
        numpy_helper.from_array(np.zeros(2, np.int64), "i"),
        numpy_helper.from_array(np.zeros(2, np.float32), "v"),
    ]
    model = torch.onnx.load(save(base([node], weights), tmp_path))
    with pytest.raises(OnnxError, match=rf"{tmp_path}/m.onnx: node .*impossible shape"):
        model(torch.zeros(4))


# -- graphs ----------------------------------------------------------------------------------

BRANCH = helper.make_graph([N("Identity", ["x"], ["z"])], "b", [], [
    helper.make_empty_tensor_value_info("z")])  # fmt: skip
W = numpy_helper.from_array(np.ones(4, np.float32), "w")
GRAPHS = {
    "unknown op": (base([N("Explode", ["x"], ["y"])]), ("not supported", "'Explode'")),
    "unknown domain": (base([N("Add", ["x", "x"], ["y"], domain="com.evil")]), ("com.evil.Add",)),
    "only a domain": (base(domain=("com.evil", 1)), ("opset is 0",)),
    "old opset": (base(domain=("", 3)), ("opset is 3",)),
    "new opset": (base(domain=("", 999)), ("opset is 999",)),
    "old IR": (base(ir_version=1), ("IR version is 1",)),
    "new IR": (base(ir_version=999), ("IR version is 999",)),
    "cycle": (base([N("Add", ["x", "b"], ["a"]), N("Neg", ["a"], ["b"]), N("Neg", ["b"], ["y"])]),
              ("'b'", "cycle or out of order")),
    "itself": (base([N("Add", ["x", "y"], ["y"])]), ("cycle",)),
    "if": (base([N("If", ["x"], ["y"], then_branch=BRANCH, else_branch=BRANCH)]),
           ("control flow is not supported",)),
    "loop": (base([N("Loop", ["", "x"], ["y"], body=BRANCH)]), ("control flow",)),
    "made twice": (base([N("Neg", ["x"], ["y"]), N("Abs", ["x"], ["y"])]), ("there already",)),
    "makes an input": (base([N("Neg", ["x"], ["x"])], outputs=("x",)), ("there already",)),
    "two weights": (base(weights=[W, W]), ("'w'", "twice")),
    "two inputs": (base(inputs=("x", "x")), ("'x'", "twice")),
    "missing": (base([N("Neg", ["nowhere"], ["y"])]), ("'nowhere'", "nothing makes")),
    "no output": (base(outputs=()), ("no outputs",)),
    "unmade output": (base(outputs=("z",)), ("nothing makes its output 'z'",)),
    "no name": (base(weights=[W, TensorProto(data_type=F32, dims=[0], raw_data=b"")]),
                ("no name",)),
    "odd element": (base(weights=[TensorProto(name="w", data_type=8, dims=[1],
                                              string_data=[b"x"])]), ("element type 8",)),
    "long name": (base([N("Neg", ["n" * 100_000], ["y"])]), ("nnn...",)),
    "control characters": (base([N("Neg", ["\x1b[31m\n"], ["y"])]), ("\\x1b[31m\\n",)),
    "short raw": (base(weights=[TensorProto(name="w", data_type=F32, dims=[4], raw_data=b"\0")]),
                  ("needs 16 bytes but has 1",)),
    "out of range": (base(weights=[TensorProto(name="w", data_type=TensorProto.INT64, dims=[1],
                                               int32_data=[1])]), ("needs 1 values but has 0",)),
    "attribute twice": (base([helper.make_node("Neg", ["x"], ["y"])]), ()),
}  # fmt: skip
GRAPHS["attribute twice"][0].graph.node[0].attribute.extend(
    [helper.make_attribute("a", 1), helper.make_attribute("a", 2)]
)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_is_none(name, tmp_path):
    model, words = GRAPHS[name]
    refused(save(model, tmp_path), *words)


@pytest.mark.parametrize(
    "node, words",
    [
        (N("Add", ["x", "i"], ["y"]), "several types: torch.float32, torch.int64"),
        (N("MatMul", ["x", "i"], ["y"]), "several types"),
        (N("Add", ["x"], ["y"]), "cannot be run"),
        (N("Add", ["x", "x", "x"], ["y"]), "cannot be run"),
        (N("Add", ["x", ""], ["y"]), "cannot be run"),
        (N("Reshape", ["x", "f"], ["y"]), "no integer tensor"),
        (N("Gather", ["x", "f"], ["y"]), "cannot be run"),
        (N("Softmax", ["x"], ["y"], axis="one"), "wrong type"),
        (N("Softmax", ["x"], ["y"], axis=77), "cannot be run"),
        (N("Split", ["x"], ["y", "z", "v"], num_outputs=1), "outputs"),
        (N("Cast", ["x"], ["y"], to=4711), "element type 4711"),
        (N("Conv", ["x", "f"], ["y"]), "supported"),
        (N("Einsum", ["x"], ["y"], equation="__import__('os')"), "cannot be run"),
    ],
)
def test_inputs_of_the_wrong_type_or_number(tmp_path, node, words):
    weights = [
        numpy_helper.from_array(np.arange(4), "i"),
        numpy_helper.from_array(np.ones(4, np.float32), "f"),
    ]
    model = torch.onnx.load(save(base([node], weights), tmp_path))
    with pytest.raises(OnnxError) as caught:
        model(torch.zeros(4))
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/m.onnx: node ") and words in text and text.isprintable()
