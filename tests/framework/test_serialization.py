"""save and load: what goes in comes out; what is something else, or damaged, is named."""

from __future__ import annotations

import collections
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy

import framework as torch
from framework import dtypes, map_location


def roundtrip(obj, **options):
    file = io.BytesIO()
    torch.save(obj, file)
    file.seek(0)
    return torch.load(file, **options)


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)], ids=str)
def test_every_dtype_and_shape(dtype, shape):
    values = np.random.default_rng(0).integers(0, 5, shape) * (1 + 2j if dtype.is_complex else 1)
    t = torch.tensor(np.asarray(values), dtype=dtype)
    back = roundtrip(t)
    assert back.dtype is dtype and back.shape == shape
    assert back._data.tobytes() == t._data.tobytes()
    back._data[...] = 0  # its memory is its own


def test_nested_containers_and_plain_values():
    obj = {
        "list": [1, 2.5, None, True, "text", -0.0, 10**30],
        "tuple": (1, ("a", [torch.ones(2)])),
        "empty": [{}, [], ()],
        3: "a key that is no string",
        ("a", 1): {"$tensor": "not a tensor"},
        "numbers": [float("inf"), float("-inf"), 1 + 2j],
        "torch": [torch.float16, torch.device("cpu"), torch.ones(2, 3).shape],
        "array": np.arange(3),
    }
    back = roundtrip(obj)
    assert list(back) == list(obj)
    for key in ("list", "empty", 3, ("a", 1), "numbers", "torch"):
        assert back[key] == obj[key]
    assert str(back["list"][5]) == "-0.0"
    assert back["tuple"][1][1][0].tolist() == [1, 1] and isinstance(back["tuple"][1], tuple)
    assert isinstance(back["array"], np.ndarray) and back["array"].tolist() == [0, 1, 2]
    assert isinstance(back["torch"][2], torch.Size)
    assert np.isnan(roundtrip(float("nan")))


def test_a_tensor_that_occurs_twice_is_one():
    w = torch.ones(3, requires_grad=True)
    back = roundtrip({"a": w, "b": [w]})
    assert back["a"] is back["b"][0] and back["a"].requires_grad and back["a"].is_leaf


def test_views_and_other_orders_of_memory():
    x = torch.arange(6).reshape(2, 3)
    back = roundtrip([x.t(), x[:, 1], x[1:]])
    assert [t.tolist() for t in back] == [x.t().tolist(), [1, 4], [[3, 4, 5]]]


def test_an_optimizer_and_a_model_go_on(tmp_path):
    path = tmp_path / "check.safetensors"
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "n": 1}, path)
    back = torch.load(path)
    other = torch.nn.Linear(2, 1)
    other.load_state_dict(back["model"])
    again = torch.optim.Adam(other.parameters(), lr=5)
    again.load_state_dict(back["optimizer"])
    assert other.weight.tolist() == model.weight.tolist()
    assert again.param_groups[0]["betas"] == (0.9, 0.999) and again.param_groups[0]["lr"] == 1e-3
    for m, o in ((model, optimizer), (other, again)):
        m.zero_grad()
        m(torch.ones(3, 2)).sum().backward()
        o.step()
    assert other.weight.tolist() == model.weight.tolist()


def test_other_programs_read_it_and_theirs_are_read(tmp_path):
    path = tmp_path / "a.safetensors"
    torch.save({"w": torch.ones(2, 3), "inner": {"b": torch.arange(4)}}, path)
    theirs = safetensors.numpy.load_file(path)
    assert sorted(theirs) == ["inner.b", "w"] and theirs["inner.b"].tolist() == [0, 1, 2, 3]
    safetensors.numpy.save_file({"x": np.eye(2, dtype=np.float16)}, path)
    assert torch.load(path)["x"].tolist() == [[1, 0], [0, 1]]


def test_map_location():
    t = torch.ones(1)
    seen = []

    def keep(storage, location):
        seen.append((len(storage), location))
        return storage

    cpu = torch.device("cpu")
    for where in ("cpu", cpu, {"cpu": "cpu"}, {"cuda:1": "cpu"}, keep, lambda *a: None):
        assert roundtrip(t, map_location=where, weights_only=True).device.type == "cpu"
    assert seen == [(4, "cpu")]
    with pytest.raises(TypeError, match="map_location must be a device"):
        roundtrip(t, map_location=3.5)
    with pytest.raises(KeyError, match="mine"):  # not taken for a damaged file
        roundtrip(t, map_location=lambda storage, location: {}["mine"])
    with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
        roundtrip(t, foo=1)
    if not torch.cuda.is_available():
        for where in ("cuda", {"cpu": "cuda:0"}):
            with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA"):
                roundtrip(t, map_location=where)


def test_devices_come_back():
    code = """
import collections
import io
import framework as torch
file = io.BytesIO()
torch.save({"a": torch.ones(1, device="cuda:1"), "b": torch.ones(1)}, file)
for where in (None, "cpu", {"cuda:1": "cuda:0"}, lambda s, l: s.cuda(0) if l == "cpu" else s):
    file.seek(0)
    print(*[t.device for t in torch.load(file, map_location=where).values()])
"""
    env = {**os.environ, "TAPEBOOK_FAKE_CUDA": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["cuda:1 cpu", "cpu cpu", "cuda:0 cpu", "cpu cuda:0"]


def test_what_pytorch_asks_of_its_own_format_is_accepted(tmp_path):
    path = tmp_path / "x"
    torch.save([1], path, _use_new_zipfile_serialization=False, pickle_protocol=4)
    assert torch.load(path, mmap=True, weights_only=False) == [1]
    with pytest.raises(ValueError, match="f must be a file path"):
        roundtrip([1], mmap=True)


def test_settings_of_an_unpickler_are_remembered():
    from framework import serialization

    serialization.add_safe_globals([dict, dict])
    with serialization.safe_globals([int]):
        assert serialization.get_safe_globals() == [dict, int]
    assert serialization.get_safe_globals() == [dict]
    serialization.clear_safe_globals()
    assert serialization.get_safe_globals() == []
    assert serialization.location_tag(torch.ones(1).storage()) == "cpu"
    with pytest.raises(ValueError, match=r"expected mmap\.MAP_PRIVATE .*, but got 7"):
        serialization.set_default_mmap_options(7)


# -- what cannot be saved --------------------------------------------------------------------


def test_what_has_no_form(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(TypeError, match=r"the object\['a'\]\['1'\] is a object, which has no form"):
        torch.save({"a": [1, object()]}, path)
    with pytest.raises(TypeError, match=r"is a Linear.*save its state_dict\(\) instead"):
        torch.save(torch.nn.Linear(1, 1), path)
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueError, match="or holds itself"):
        torch.save(loop, path)
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    torch.save({"n": 1}, path)

    def fail(handle):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        torch.save({"n": 2}, path)
    monkeypatch.undo()
    assert torch.load(path) == {"n": 1} and [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="links and permissions of POSIX")
def test_a_link_stays_one_and_permissions_stay(tmp_path):
    path, link = tmp_path / "run.pt", tmp_path / "latest.pt"
    torch.save({"n": 1}, path)
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    path.chmod(0o600)
    link.symlink_to(path.name)
    torch.save({"n": 2}, link)
    assert link.is_symlink() and torch.load(path) == {"n": 2}
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest.pt", "run.pt"]
    far = tmp_path / "far.pt"
    far.symlink_to("not_yet.pt")
    torch.save({"n": 3}, far)
    assert far.is_symlink() and torch.load(tmp_path / "not_yet.pt") == {"n": 3}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        torch.save({"n": 1}, path)
        assert torch.load(io.BytesIO(os.read(read, 65536))) == {"n": 1}
    finally:
        os.close(read)
    assert path.is_fifo() and os.listdir(tmp_path) == ["pipe"]


def test_a_folder_that_is_not_there_is_named_as_in_pytorch(tmp_path):
    with pytest.raises(RuntimeError, match=r"Parent directory .*none does not exist\."):
        torch.save({"n": 1}, tmp_path / "none" / "x.pt")


# -- what cannot be loaded -------------------------------------------------------------------


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, np.ones(2))
    return file.getvalue()


class Bomb:
    def __reduce__(self):
        return (os.abort, ())


def good():
    file = io.BytesIO()
    torch.save({"a": torch.arange(4), "b": torch.ones(2)}, file)
    return file.getvalue()


def headed(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}

BAD = {
    "pt": (
        zipped("archive/data.pkl", "archive/data/0"),
        "PyTorch checkpoint, but its data.pkl is damaged",
    ),
    "npz": (zipped("a.npy"), "NumPy .npz archive"),
    "zip": (zipped("a.txt"), "a zip file"),
    "cut zip": (zipped("a.txt")[:20], "a zip file"),
    "pickle": (pickle.dumps(Bomb()), "it is a pickle .*, which can run code"),
    "npy": (npy(), "NumPy .npy file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "HDF5"),
    "empty": (b"", "it has 0 bytes"),
    "text": (b"hello, this is text", "header does not end"),
    "cut": (good()[:-3], "it is cut off in tensor 'b'"),
    "cut header": (good()[:60], "header does not end"),
    "longer": (good() + b"!", "1 bytes after its last tensor"),
    "no json": (headed(b"{nonsense"), "header is not JSON"),
    "deep json": (headed(b"[" * 100_000), "header is not JSON"),
    "a list": (headed([1]), "not a JSON object"),
    "no offsets": (headed({"a": {"dtype": "F32", "shape": [1]}}), "has no data_offsets"),
    "one offset": (headed({"a": {**ONE, "data_offsets": [4]}}, b"1234"), "has no data_offsets"),
    "overlap": (headed({"a": ONE, "b": ONE}, b"1234"), "does not follow"),
    "negative": (headed({"a": {**ONE, "data_offsets": [-4, 0]}}, b"1234"), "does not follow"),
    "wrong size": (headed({"a": {**ONE, "shape": [2]}}, b"1234"), "does not have 4 bytes"),
    "huge shape": (headed({"a": {**ONE, "shape": [1 << 62, 4]}}, b"1234"), "does not have 4"),
    "wrong shape": (headed({"a": {**ONE, "shape": [-1]}}, b"1234"), "has the shape"),
    "wrong type": (headed({"a": {**ONE, "dtype": "F8_E4M3"}}, b"1234"), "not supported"),
    "metadata": (headed({"__metadata__": 3}), "metadata are not"),
    "metadata of numbers": (headed({"__metadata__": {"n": 3}, "a": ONE}, b"1234"), "not all text"),
    "offsets as text": (headed({"a": {**ONE, "data_offsets": ["0", "4"]}}, b"1234"), "no data_off"),
    "byte order mark": (headed(b"\xef\xbb\xbf" + json.dumps({"a": ONE}).encode(), b"1234"), "JSON"),
    "utf-16": (headed(json.dumps({"a": ONE}).encode("utf-16"), b"1234"), "header is not JSON"),
    "skeleton": (
        headed({"__metadata__": {"tapebook": '{"$tensor": "gone"}'}, "a": ONE}, b"1234"),
        "skeleton is damaged",
    ),
    "deep skeleton": (
        headed({"__metadata__": {"tapebook": '{"$tuple":[' * 400 + "1" + "]}" * 400}}),
        "nested too deeply",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_something_else_or_damaged(name, tmp_path):
    data, message = BAD[name]
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        torch.load(path)
    assert str(caught.value).startswith(f"load: {path}: ") and "\n" not in str(caught.value)


def test_a_flipped_byte_never_does_more_than_raise():
    data = bytearray(good())
    for i in range(len(data)):
        for value in (0, 0xFF, ord('"')):
            broken = bytearray(data)
            broken[i] = value
            try:
                torch.load(io.BytesIO(bytes(broken)))
            except ValueError as error:
                assert str(error).startswith("load: the file: ")


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        torch.load(tmp_path)


# -- kinds of plain values -------------------------------------------------------------------------

Point = collections.namedtuple("Point", "x y")

KINDS = [
    collections.OrderedDict(b=1, a=2), collections.defaultdict(list, {"a": [1], 3: [2]}),
    collections.Counter("aab"), collections.deque([1, 2], maxlen=3), {1, 2}, frozenset({"a"}),
    range(1, 9, 2), slice(None, 2), b"a\x00", bytearray(b"b"), Ellipsis, np.float64(1.5),
    np.float32("nan"), np.int8(-3), np.bool_(True), np.complex64(1 - 2j), np.str_("text"),
    np.dtype("float32"), torch.Size([2, 3]), torch.bfloat16, torch.device("cpu"), torch.strided,
    torch.channels_last, {torch.float32: 1, (1, 2): 3, True: 4, None: 5}, Point(1, [2.0]),
    {"a": (1, {"b": {2}})}, (), 10**30, float("-inf"),
]  # fmt: skip


@pytest.mark.parametrize("value", KINDS, ids=lambda v: type(v).__name__)
def test_kinds_are_kept(value) -> None:
    found = roundtrip(value)
    assert repr(found) == repr(value)
    if isinstance(value, Point):
        assert found._fields == ("x", "y") and found == value
    else:
        assert type(found) is type(value)
    if isinstance(value, collections.defaultdict):
        assert found.default_factory is list


def test_parameters_and_results_are_kept() -> None:
    table = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    found = roundtrip({"a": table, "b": table, "c": torch.nn.Parameter(torch.zeros(1))})
    assert type(found["a"]) is torch.nn.Parameter and found["a"] is found["b"]
    assert not found["a"].requires_grad and found["c"].requires_grad
    pair = roundtrip(torch.tensor([2, 1]).sort())
    assert pair.values.tolist() == [1, 2] and pair.indices.tolist() == [1, 0]
    assert type(roundtrip(torch.nn.Linear(1, 1).state_dict())) is collections.OrderedDict


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            collections.defaultdict(lambda: 1),
            "defaultdict of '<lambda>', which a file cannot",
        ),
        ([object()], r"the object\['0'\] is a object, which has no form"),
        ({"a": torch.nn.ReLU()}, r"is a ReLU, which has no form; save its state_dict\(\)"),
        ({object(): 1}, "has a key of type object"),
    ],
)
def test_other_kinds_are_refused(value, words) -> None:
    with pytest.raises(TypeError, match=words):
        torch.save(value, io.BytesIO())


@pytest.mark.parametrize(
    "skeleton",
    [
        '{"$named":["P",["x"],[1,2]]}', '{"$named":["P;import os",["x"],[1]]}',
        '{"$named":["P",["__class__"],[1]]}', '{"$numpy":["object_","a"]}', '{"$range":["a"]}',
        '{"$set":[[1]]}', '{"$bytes":"a!"}', '{"$defaultdict":["eval",[]]}', '{"$layout":"x"}',
        '{"$device":"cp5"}', '{"$sparse":{"indices":{"$tensor":"a"}}}',
    ],
)  # fmt: skip
def test_a_damaged_kind_is_refused(skeleton) -> None:
    header = json.dumps({"__metadata__": {"tapebook": skeleton}}).encode()
    with pytest.raises(ValueError, match="skeleton is damaged"):
        torch.load(io.BytesIO(len(header).to_bytes(8, "little") + header))


def test_the_command_that_converts_a_checkpoint_works(tmp_path) -> None:
    """Row by row as the message has it, run by a shell, on what the own reader refuses."""
    theirs = pytest.importorskip("torch")
    theirs.manual_seed(0)
    model = theirs.nn.Sequential(theirs.nn.Linear(2, 3), theirs.nn.BatchNorm1d(3))
    old, new = tmp_path / "old.pt", tmp_path / "new.safetensors"
    theirs.save({"model": model, "list": [theirs.ones(2)], "epoch": 3}, old)
    with pytest.raises(ValueError, match="more than plain tensors") as refused:
        torch.load(old)
    line = str(refused.value)
    assert "\n" not in line
    command = line[line.index("python -c") :].replace("OLD.pt", str(old))
    command = command.replace("NEW.safetensors", str(new)).replace("python", sys.executable, 1)
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = torch.load(new)
    assert sorted(found)[:2] == ["list.0", "model.0.bias"] and len(found) == 8
    assert found["model.0.weight"].tolist() == model[0].weight.tolist()


# -- attributes and strides ------------------------------------------------------------------


def test_attributes_of_a_tensor_are_kept():
    t = torch.ones(3)
    t.epoch, t.names, t.other, t.nothing = 5, {"a", "b"}, {"x": [torch.arange(2), (1, 2)]}, None
    param = torch.nn.Parameter(torch.ones(2))
    param.tag = "decay"
    back = roundtrip({"a": t, "b": param, "again": t})
    assert back["a"] is back["again"]
    assert back["a"].epoch == 5 and back["a"].names == {"a", "b"} and back["a"].nothing is None
    assert back["a"].other["x"][0].tolist() == [0, 1] and back["a"].other["x"][1] == (1, 2)
    assert isinstance(back["b"], torch.nn.Parameter) and back["b"].tag == "decay"
    assert vars(roundtrip(torch.ones(2))) == {}


def test_an_attribute_may_be_the_tensor_itself():
    t = torch.ones(2)
    t.me = [t]
    back = roundtrip(t)
    assert back.me[0] is back


def test_an_attribute_may_have_the_name_of_a_method():
    t = torch.ones(2)
    t.sub = torch.zeros(1)
    assert roundtrip(t).sub.tolist() == [0]


def test_attributes_of_a_sparse_tensor_are_kept():
    t = torch.eye(2).to_sparse()
    t.kind = "adjacency"
    assert roundtrip(t).kind == "adjacency"


def test_an_attribute_without_a_form_is_refused_by_name():
    t = torch.ones(2)
    t.owner = object()
    with pytest.raises(TypeError, match=r"the object\['w'\]\['owner'\] is a object, which has no"):
        roundtrip({"w": t})


@pytest.mark.parametrize("name", ["_hooks", "_offset", "__class__", "__dict__"])
def test_a_file_cannot_replace_what_a_tensor_has(name):
    t = torch.ones(2)
    t.epoch = "marker"
    file = io.BytesIO()
    torch.save(t, file)
    data = file.getvalue()
    text = data.replace(b'\\"epoch\\"', f'\\"{name}\\"'.encode())
    size = int.from_bytes(data[:8], "little") + len(text) - len(data)
    with pytest.raises(ValueError, match=r"an attribute .* of its own"):
        torch.load(io.BytesIO(size.to_bytes(8, "little") + text[8:]))


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.t(), lambda a: a[:, ::2], lambda a: a[1], lambda a: a[:, 1],
        lambda a: a[:, :1].expand(3, 4), lambda a: a[1:, 1:],
        lambda a: a.bfloat16().t(), lambda a: a.to(torch.complex64)[:, 1:],
    ],
)  # fmt: skip
def test_a_pickled_view_keeps_its_strides_and_takes_no_more_than_it_needs(view):
    a = torch.arange(12.0).reshape(3, 4)
    v = view(a)
    back = pickle.loads(pickle.dumps(v))
    assert back.stride() == v.stride() and torch.equal(back, v) and back.dtype is v.dtype
    big = torch.zeros(1000, 1000)
    assert len(pickle.dumps(big[3])) < 10_000


# -- places of one's own, and files without numbers ------------------------------------------------


def test_places_of_ones_own(monkeypatch):
    monkeypatch.setattr(map_location, "PACKAGES", [])
    asked = []

    def restore(storage, place):
        asked.append((storage.nbytes(), place))
        return storage if place == "shelf:3" else None

    torch.serialization.register_package(
        11, lambda storage: "never", lambda storage, place: None
    )  # after that of the CPU
    assert torch.serialization.location_tag(torch.ones(1)) == "cpu"
    torch.serialization.register_package(
        5, lambda storage: "shelf:3" if storage.nbytes() == 12 else None, restore
    )
    file = io.BytesIO()
    torch.save([torch.ones(3), torch.zeros(2)], file)
    assert b"shelf:3" in file.getvalue()
    file.seek(0)
    three, two = torch.load(file)
    assert three.tolist() == [1, 1, 1] and two.tolist() == [0, 0]
    assert sorted(asked) == [(8, "cpu"), (12, "shelf:3")]
    monkeypatch.setattr(map_location, "PACKAGES", [])
    file.seek(0)
    assert torch.load(file)[0].device.type == "cpu"  # a place that nobody knows
    with pytest.raises(RuntimeError, match=r"how to restore data location of .*"):
        torch.serialization.default_restore_location(torch.ones(1).untyped_storage(), "shelf:3")


def test_files_without_numbers():
    plain, empty = io.BytesIO(), io.BytesIO()
    torch.save({"w": torch.ones(2, 3), "n": 5}, plain)
    with torch.serialization.skip_data():
        torch.save({"w": torch.ones(2, 3), "n": 5}, empty)
        plain.seek(0)
        assert torch.load(plain)["w"].tolist() == [[0] * 3] * 2
    assert len(plain.getvalue()) == len(empty.getvalue())
    for file, value in ((plain, 1), (empty, 0)):
        file.seek(0)
        found = torch.load(file)
        assert found["w"].tolist() == [[value] * 3] * 2 and found["n"] == 5


def test_checkpoints_of_pytorch_without_numbers():
    path = os.path.join(os.path.dirname(__file__), "checkpoints", "attributes.pt")
    with torch.serialization.skip_data():
        assert torch.load(path)["t"].tolist() == [0, 0, 0]
