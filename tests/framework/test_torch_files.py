"""PyTorch's checkpoints: plain tensors come in, everything else is refused by name, nothing runs.

The files in ``checkpoints/`` were written by PyTorch 2.13; ``runs_code.pt`` would call
``os.system`` if it were unpickled.
"""

from __future__ import annotations

import io
import os
import pickletools
import warnings
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framework as torch
from framework import nn

FILES = Path(__file__).with_name("checkpoints")
EVIL = Path("/tmp/tapebook-evil")


def test_a_state_dict_is_loaded_into_a_module() -> None:
    state = torch.load(FILES / "state_dict.pt")
    assert isinstance(state, OrderedDict)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    assert str(model.load_state_dict(state)) == "<All keys matched successfully>"
    assert model[0].weight[0, 0].item() == pytest.approx(-0.0043225, abs=1e-6)
    assert model[1].num_batches_tracked.dtype is torch.int64


def test_plain_values_dtypes_and_shared_storage() -> None:
    found = torch.load(FILES / "nested.pt", weights_only=True)
    assert found["epoch"] == 3 and found["best"] == 0.5 and found["name"] == "näme"
    assert found["flags"] == [True, None, (1, 2)] and found["big"] == 10**30
    assert found["int_keys"] == {1: "a", (1, "b"): 2} and found["size"] == torch.Size([1, 2])
    for name, t in found["dtypes"].items():
        assert t.dtype is getattr(torch, name)
        assert t.to(torch.complex128).tolist() == [0, 1, 1 if name == "bool" else 2]
    assert found["scalar"].item() == 2.5 and found["empty"].shape == (0, 3)
    assert isinstance(found["parameter"], nn.Parameter) and found["wants"].requires_grad
    assert found["view"].tolist() == [[2, 5], [3, 6], [4, 7]]
    found["base"].zero_()
    assert found["view"].sum().item() == 0  # as in PyTorch, they share their memory
    state = found["optimizer"]["state"][0]
    assert state["exp_avg"].shape == (2, 3) and state["step"].item() == 1


def test_conjugates_and_negations_that_pytorch_put_off() -> None:
    """Its files have the numbers of before, and a note beside."""
    found = torch.load(FILES / "put_off.pt")
    assert found["plain"].tolist() == [1 + 2j, 3 - 4j]
    assert found["conj"].tolist() == [1 - 2j, 3 + 4j] and found["neg"].tolist() == [-2, 4]
    assert found["wants"].tolist() == [1 - 2j]
    assert found["wants"].requires_grad and found["wants"].is_leaf


def test_a_note_beside_a_tensor_that_is_not_known_is_refused() -> None:
    storage = {"data/0": np.arange(4, dtype=np.float32).tobytes()}
    plain = tensor_pickle(b"\x00", b"\x02", b"\x02")
    for note, whole in ((b"}X\x03\x00\x00\x00negK\x01s", True), (b"}X\x01\x00\x00\x00aNs", False)):
        pickled = plain.replace(b"NtR.", b"N" + note + b"tR.")
        if whole:
            assert torch.load(checkpoint(pickled, storage)).tolist() == [0, -2]
            continue
        with pytest.raises(ValueError, match="note 'a'"):
            torch.load(checkpoint(pickled, storage))


def test_the_milestones_of_a_schedule_are_counted() -> None:
    state = torch.load(FILES / "put_off.pt")["scheduler"]
    assert state["milestones"] == Counter({2: 2, 5: 1}) and type(state["milestones"]) is Counter
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=1.0)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [7])
    schedule.load_state_dict(state)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr()[0] == pytest.approx(1e-3)
    pickled = b"\x80\x02ccollections\nCounter\n}K\x01X\x01\x00\x00\x00as\x85R."
    with pytest.raises(ValueError, match="counts"):
        torch.load(checkpoint(pickled))


def test_a_bytearray_is_read() -> None:
    for pickled in (
        b"\x80\x02c__builtin__\nbytearray\nX\x01\x00\x00\x00qX\x07\x00\x00\x00latin-1\x86R.",
        b"\x80\x03cbuiltins\nbytearray\nC\x01q\x85R.",
    ):
        found = torch.load(checkpoint(pickled))
        assert type(found) is bytearray and found == b"q"
    with pytest.raises(ValueError, match="bytearray"):  # as many zeros as a number says
        torch.load(checkpoint(b"\x80\x03cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."))


def test_attributes_of_tensors_are_read() -> None:
    found = torch.load(FILES / "attributes.pt")
    assert found["t"].foo == 5 and found["t"].tolist() == [1, 1, 1]
    assert isinstance(found["p"], nn.Parameter) and found["p"].requires_grad
    assert found["p"].tag == {"a": [1]} and found["p"].sub.tolist() == [0]


@pytest.mark.parametrize("name", [b"_at", b"___"])
def test_an_attribute_that_a_tensor_needs_itself_is_refused(name) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(FILES / "attributes.pt") as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry).replace(b"foo", name))
    with pytest.raises(ValueError, match=f"has an attribute '{name.decode()}' of its own"):
        torch.load(io.BytesIO(file.getvalue()))


def test_the_names_that_are_refused_can_be_asked_for() -> None:
    from framework.serialization import get_unsafe_globals_in_checkpoint

    assert get_unsafe_globals_in_checkpoint(FILES / "runs_code.pt") == ["posix.system"]
    assert get_unsafe_globals_in_checkpoint(FILES / "state_dict.pt") == []
    assert "torch.nn.modules.container.Sequential" in get_unsafe_globals_in_checkpoint(
        FILES / "whole_model.pt"
    )


def test_map_location() -> None:
    found = torch.load(FILES / "state_dict.pt", map_location="cpu")
    assert found["0.weight"].device == torch.device("cpu")
    seen = []
    torch.load(FILES / "state_dict.pt", map_location=lambda s, place: seen.append(place) or s)
    assert set(seen) == {"cpu"}


@pytest.mark.parametrize(
    "name, reason",
    [
        ("whole_model.pt", "torch.nn.modules.container.Sequential"),
        ("runs_code.pt", "posix.system"),
        ("before_1_6.pt", "older than 1.6"),
    ],
)
def test_what_is_no_plain_data_is_refused_by_name(name: str, reason: str) -> None:
    EVIL.unlink(missing_ok=True)
    with pytest.raises(ValueError, match=reason) as caught:
        torch.load(FILES / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)
    assert not EVIL.exists()


def test_every_cut_and_every_changed_byte_is_read_or_refused_in_one_line() -> None:
    data = (FILES / "state_dict.pt").read_bytes()
    rng = np.random.default_rng(0)
    tried = [data[: int(n)] for n in rng.integers(0, len(data), 60)]
    for at in rng.integers(0, len(data), 400):
        changed = bytearray(data)
        changed[at] = rng.integers(256)
        tried.append(bytes(changed))
    for bad in tried:
        try:
            torch.load(io.BytesIO(bad))
        except ValueError as error:
            assert "\n" not in str(error)


def checkpoint(pickle: bytes, entries: dict[str, bytes] | None = None, compress: bool = False):
    """A zip file as PyTorch writes it round these bytes."""
    file = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr("archive/data.pkl", pickle)
        for name, content in (entries or {}).items():
            archive.writestr(f"archive/{name}", content)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    "pickle, reason",
    [
        (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "os.system"),
        (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", "builtins.eval"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls torch.FloatStorage"),
        (b"\x80\x02}q\x00}(X\x01\x00\x00\x00aK\x01ub.", "attributes"),
        (b"\x80\x02]q\x00h\x00a.", ""),  # a list that holds itself is only strange
        (b"\x80\x02}](h\x05s.", "damaged"),
        (b"\x80\x02}]K\x01s.", "key of type list"),
        (b"\x80\x02K\x01", "cut off|damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02R.", "damaged"),
        (b"\x80\x02(i__main__\nX\n.", "INST"),
    ],
)
def test_pickles_that_are_more_than_data(pickle: bytes, reason: str) -> None:
    list(pickletools.genops(pickle[:2] + b"."))  # the helper writes pickles by hand: protocol 2
    if not reason:
        assert isinstance(torch.load(checkpoint(pickle)), list)
        return
    with pytest.raises(ValueError, match=reason):
        torch.load(checkpoint(pickle))


def test_types_are_values() -> None:
    half = b"ctorch\nfloat16\n"
    assert torch.load(checkpoint(b"\x80\x02" + half + b".")) is torch.float16
    in_dict = torch.load(checkpoint(b"\x80\x02}X\x01\x00\x00\x00d" + half + b"s."))
    assert in_dict == {"d": torch.float16}
    in_tuple = torch.load(checkpoint(b"\x80\x02]" + half + b"\x85\x85a."))
    assert in_tuple == [((torch.float16,),)]
    with pytest.raises(ValueError, match="FloatStorage, which is more than plain"):
        torch.load(checkpoint(b"\x80\x02]ctorch\nFloatStorage\na."))


def tensor_pickle(offset: bytes, size: bytes, stride: bytes) -> bytes:
    """A one-dimensional float tensor in storage 0 of four elements."""
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
        b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
        + b"K" + offset + b"K" + size + b"\x85K" + stride + b"\x85\x89NtR."
    )  # fmt: skip


def test_a_tensor_stays_within_its_storage() -> None:
    storage = {"data/0": np.arange(4, dtype=np.float32).tobytes()}
    good = torch.load(checkpoint(tensor_pickle(b"\x00", b"\x02", b"\x02"), storage))
    assert good.tolist() == [0, 2]
    with pytest.raises(ValueError, match="reaches beyond its storage"):
        torch.load(checkpoint(tensor_pickle(b"\x01", b"\x02", b"\x03"), storage))
    with pytest.raises(ValueError, match="12 bytes instead of 16"):
        torch.load(checkpoint(tensor_pickle(b"\x00", b"\x02", b"\x02"), {"data/0": bytes(12)}))
    with pytest.raises(ValueError, match="data/0 is missing"):
        torch.load(checkpoint(tensor_pickle(b"\x00", b"\x02", b"\x02")))
    with pytest.raises(ValueError, match="compressed"):
        torch.load(checkpoint(tensor_pickle(b"\x00", b"\x02", b"\x02"), storage, compress=True))


def test_big_endian_storage() -> None:
    storage = {
        "data/0": np.arange(4, dtype=">f4").tobytes(),
        "byteorder": b"big",
    }
    found = torch.load(checkpoint(tensor_pickle(b"\x00", b"\x04", b"\x01"), storage))
    assert found.tolist() == [0, 1, 2, 3]


def test_a_script_module_is_code() -> None:
    with pytest.raises(ValueError, match="TorchScript"):
        torch.load(checkpoint(b"\x80\x02}.", {"constants.pkl": b"\x80\x02)."}))


def test_an_entry_beyond_any_file_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02N.")
        archive.filelist[0].header_offset = 1 << 63
    with pytest.raises(
        ValueError, match=r"its zip archive is damaged|it is a zip file that is cut"
    ):
        torch.load(io.BytesIO(file.getvalue()))


def test_nothing_was_written_by_the_files() -> None:
    assert not os.path.exists(EVIL)


# -- what else PyTorch's save writes -----------------------------------------------------------


def written(make: str, **options: Any) -> Any:
    """What PyTorch writes for an expression, with ``t`` for its name."""
    theirs = pytest.importorskip("torch")
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.save(eval(make, {"t": theirs, "np": np}), file, **options)
    file.seek(0)
    return file


SPARSE = "t.sparse_coo_tensor(t.tensor([[0, 1], [1, 0]]), t.tensor([1.0, 2.0]), (2, 3))"


def test_sparse_tensors_are_read() -> None:
    found = torch.load(written(f"[{SPARSE}, {SPARSE}.coalesce(), {SPARSE}.double()]"))
    assert [x.is_coalesced() for x in found] == [False, True, False]
    assert found[2].dtype is torch.float64
    for x in found:
        assert x.is_sparse and x.to_dense().tolist() == [[0, 1, 0], [2, 0, 0]]


def test_a_sparse_tensor_that_is_no_such_thing() -> None:
    with zipfile.ZipFile(written(f"{SPARSE}.coalesce()")) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    size, indices = b"K\x02K\x03\x86", np.array([[0, 1], [1, 0]]).tobytes()  # the first: (2, 3)
    for was, becomes in (
        (size, b"K\x02K\x01\x86"),  # a coordinate beyond the shape
        (indices, np.array([[1, 0], [1, 0]]).tobytes()),  # not sorted, and said to be coalesced
        (indices, np.array([[0, -1], [1, 0]]).tobytes()),
    ):
        assert sum(content.count(was) for content in entries.values()) == 1
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content.replace(was, becomes))
        file.seek(0)
        with pytest.raises(ValueError, match="a sparse tensor is damaged"):
            torch.load(file)


def test_tensors_on_meta_are_read() -> None:
    found = torch.load(written("{'w': t.empty(2, 3, device='meta').t(), 'n': 1}"))["w"]
    assert found.is_meta and found.shape == (3, 2) and found.stride() == (1, 3)
    assert torch.load(written("t.empty(10**6, 10**6, device='meta')")).shape == (10**6, 10**6)


def test_storages_are_storages() -> None:
    whole, typed, x = torch.load(
        written("(t.ones(3).untyped_storage(), t.zeros(2).storage(), t.ones(3))")
    )
    assert type(whole) is torch.UntypedStorage and whole.nbytes() == 12
    assert typed.dtype is torch.float32 and typed.tolist() == [0, 0] and x.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (f"{SPARSE}.to_sparse_csr()", r"layout torch.sparse_csr, .* save its to_sparse_coo\(\)"),
        ("t.nested.nested_tensor([t.ones(2), t.ones(3)])", r"a nested tensor; save its unbind\(\)"),
        (
            "t.quantize_per_tensor(t.ones(2), 0.1, 0, t.qint8)",
            r"a quantised tensor; save its dequantize\(\)",
        ),
        ("t.ones(2).to(t.float8_e4m3fn)", r"a type that is not here; save its float\(\)"),
        ("{'a': np.ones(2)}", "an array or a number of NumPy; save torch.as_tensor of it"),
        (
            "t.nn.Linear(2, 2)",
            r"torch.nn.modules.linear.Linear, .* save the state_dict\(\) instead",
        ),
    ],
)
def test_what_is_refused_says_what_to_save_instead(make: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        torch.load(written(make))
    assert "\n" not in str(caught.value)


def test_checkpoints_before_zip_are_refused() -> None:
    file = written("{'w': t.ones(2)}", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"a PyTorch checkpoint older than 1\.6") as caught:
        torch.load(file)
    assert "\n" not in str(caught.value)
