"""Event files, read back by a reader of their own: framing, checksums, and what was written.

The files were also read with TensorBoard's own reader (version 2.21) when this was written.
"""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

import framework as torch
from framework import nn
from framework.trace import recording
from framework.utils.tensorboard import SummaryWriter
from framework.utils.tensorboard.records import crc32c, masked, message


def records(path):
    """The messages of a file; every checksum is checked."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        body = data[at + 12 : at + 12 + length]
        for part, place in ((data[at : at + 8], at + 8), (body, at + 12 + length)):
            assert struct.unpack_from("<I", data, place) == (masked(crc32c(part)),)
        yield body
        at += 16 + length
    assert at == len(data)


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """A message as {field number: [values]}; four and eight bytes are floats."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            code, size = ("<d", 8) if kind == 1 else ("<f", 4)
            (value,) = struct.unpack_from(code, data, at)
            at += size
        found.setdefault(key >> 3, []).append(value)
    return found


def at(data, *path):
    """The first value at a path of field numbers."""
    for number in path:
        data = fields(data)[number][0]
    return data


@pytest.fixture
def written(tmp_path):
    """Writes with a writer; returns {tag: the first summary value of it} of its folder."""

    def write(act, **options):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        with SummaryWriter(folder, **options) as writer:
            act(writer)
        return read(folder)

    return write


def events(folder):
    return [fields(r) for p in sorted(folder.glob("events*")) for r in records(p)]


def read(folder):
    found = {}
    for event in events(folder):
        for value in fields(event[5][0])[1] if 5 in event else ():
            found.setdefault(at(value, 1).decode(), value)
    return found


def test_checksums_and_varints_are_the_published_ones():
    assert crc32c(b"") == 0 and crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(bytes([255] * 32)) == 0x62A8AB43
    assert message((1, 150)) == b"\x08\x96\x01"
    assert fields(message((2, -1)))[2] == [(1 << 64) - 1]


def test_scalars_steps_and_times(tmp_path):
    with SummaryWriter(tmp_path, purge_step=7, filename_suffix=".x") as writer:
        writer.add_scalar("loss", torch.tensor([0.5]), global_step=np.int64(7), walltime=12.5)
        writer.add_scalar("new", 0.1, new_style=True, double_precision=True)
        writer.add_scalars("a/b", {"one": 1, "two": 2.0}, 3)
    (path,) = tmp_path.glob("events.out.tfevents.*.x")
    version, again, session, loss, new = [fields(r) for r in records(path)]
    assert version[3] == again[3] == [b"brain.Event:2"] and again[2] == session[2] == [7]
    assert at(session[7][0], 1) == 1
    assert loss[1] == [12.5] and loss[2] == [7] and at(loss[5][0], 1, 2) == 0.5
    assert struct.unpack("<d", at(new[5][0], 1, 8, 6)) == (0.1,)
    assert at(read(tmp_path / "a_b_two")["a/b"], 2) == 2.0
    with pytest.raises(AssertionError, match="should contain one element"):
        writer.add_scalar("loss", torch.ones(2))


def test_a_writer_flushes_and_begins_again_after_close(tmp_path):
    writer = SummaryWriter(tmp_path, max_queue=2)
    for step in range(2):
        writer.add_scalar("x", step, step)
    assert len(events(tmp_path)) == 3  # the queue was full
    writer.add_scalar("x", 2, 2)
    writer.flush()
    assert len(events(tmp_path)) == 4
    writer.close()
    writer.add_scalar("x", 3, 3)
    writer.close()
    assert len(list(tmp_path.iterdir())) == 2 and len(events(tmp_path)) == 6


def test_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    SummaryWriter(comment="_lr1").close()
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("_lr1")


def test_histograms(written):
    values = np.array([-1.0, 0.5, 0.5, 3.0])
    found = written(lambda w: w.add_histogram("h", torch.tensor(values)))
    h = fields(at(found["h"], 5))
    assert [h[i][0] for i in range(1, 6)] == [-1, 3, 4, 3, 10.5]
    limits, counts = np.frombuffer(h[6][0]), np.frombuffer(h[7][0])
    assert counts.sum() == 4 and counts[0] == 0 and counts[1] == counts[-1] == 1
    assert limits.size == counts.size and limits[-2] <= 3 < limits[-1] and limits[0] <= -1
    found = written(lambda w: w.add_histogram("h", torch.arange(10), bins=5, max_bins=2))
    assert np.frombuffer(at(found["h"], 5, 7)).tolist() == [0, 4, 4, 2]
    with pytest.raises(ValueError, match="no element"):
        written(lambda w: w.add_histogram("h", torch.ones(0)))


def picture(value):
    return np.asarray(Image.open(io.BytesIO(at(value, 4, 4))))


def test_pictures(written):
    image = torch.rand(3, 4, 5)
    found = written(lambda w: w.add_image("i", image))
    assert (picture(found["i"]) == (image.numpy() * 255).astype(np.uint8).transpose(1, 2, 0)).all()
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    found = written(lambda w: w.add_image("g", grey, dataformats="HW"))
    assert (picture(found["g"]) == grey[..., None]).all()
    batch = torch.arange(10).reshape(10, 1, 1, 1).to(torch.uint8).expand(10, 1, 2, 2)
    grid = picture(written(lambda w: w.add_images("b", batch))["b"])
    assert grid.shape == (4, 16, 3) and grid[0, ::2, 0].tolist() == [*range(8)]
    assert grid[2, ::2, 0].tolist() == [8, 9, 0, 0, 0, 0, 0, 0]
    box = torch.tensor([[1, 2, 6, 7]])
    found = written(lambda w: w.add_image_with_boxes("x", torch.zeros(3, 9, 9), box))
    boxes = picture(found["x"])
    assert boxes[2, 1].tolist() == [255, 0, 0] and boxes[4, 4].tolist() == [0, 0, 0]
    with pytest.raises(AssertionError, match="size of input tensor and input format"):
        written(lambda w: w.add_image("i", torch.ones(4, 5)))


def test_figures(written):
    from matplotlib import pyplot  # of which no other test knows

    figure = pyplot.figure(figsize=(1, 1), dpi=50)
    found = written(lambda w: w.add_figure("f", figure))
    assert picture(found["f"]).shape == (50, 50, 3) and not pyplot.fignum_exists(figure.number)


def test_text_sound_tensors_and_curves(written):
    def write(w):
        w.add_text("note", "größer **als**")
        w.add_audio("tone", torch.linspace(-2, 2, 100), sample_rate=8000)
        w.add_tensor("t", torch.arange(6).reshape(2, 3))
        w.add_pr_curve("pr", torch.tensor([0, 1, 1, 0]), torch.tensor([0.1, 0.9, 0.6, 0.7]))

    found = written(write)
    note = found["note/text_summary"]
    assert at(note, 8, 8).decode() == "größer **als**" and at(note, 9, 1, 1) == b"text"
    sound = at(found["tone"], 6, 4)
    assert at(found["tone"], 6, 1) == 8000.0 and sound[:4] == b"RIFF" and len(sound) == 244
    assert list(at(found["t"], 8, 10)) == [0, 1, 2, 3, 4, 5]
    curve = np.frombuffer(at(found["pr"], 8, 5), np.float32).reshape(6, 127)
    assert curve[:, 100].tolist() == [1, 0, 2, 1, 1, 0.5]  # at a threshold of 100 / 126


def test_hyperparameters_and_layouts(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams(
            {"lr": 0.1, "flag": True, "name": "x", "none": None}, {"accuracy": 0.5},
            {"lr": [0.1, 0.2]}, run_name="run",
        )  # fmt: skip
        writer.add_custom_scalars_marginchart(["v", "low", "high"], "c", "t")
        with pytest.raises(TypeError, match=r"hparam_domain_discrete\[lr\] should be a list"):
            writer.add_hparams({"lr": 0.1}, {}, {"lr": ["a"]})
    found = read(tmp_path / "run")
    start = at(found["_hparams_/session_start_info"], 9, 1, 2, 3)
    settings = {at(s, 1).decode(): fields(at(s, 2)) for s in fields(start)[1]}
    assert settings == {"lr": {2: [0.1]}, "flag": {4: [1]}, "name": {3: [b"x"]}}
    assert at(found["_hparams_/session_end_info"], 9, 1, 2, 4, 1) == 1
    assert at(found["accuracy"], 2) == 0.5
    series = at(read(tmp_path)["custom_scalars__config__"], 8, 8, 2, 2, 3, 1)
    assert [v[0] for v in fields(series).values()] == [b"v", b"low", b"high"]


def test_the_graph_of_a_model(tmp_path):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    with recording() as tape, SummaryWriter(tmp_path) as writer:
        writer.add_graph(model, torch.ones(1, 4))
        with pytest.raises(ValueError, match="input_to_model is needed"):
            writer.add_graph(model)
    (graph,) = [e[4][0] for e in events(tmp_path) if 4 in e]
    nodes = {at(n, 1): fields(n).get(3, []) for n in fields(graph)[1]}
    assert nodes[b"Sequential/1/relu"] == [b"Sequential/0/linear"]
    assert nodes[b"Sequential/0/linear"][1:] == [b"Sequential/0/weight", b"Sequential/0/bias"]
    assert [e.name for e in tape.read() if type(e).__name__ == "Op"] == ["ones"]


@pytest.mark.parametrize("name", ["add_mesh", "add_video", "add_embedding", "add_onnx_graph"])
def test_refusals_name_the_method(name, tmp_path):
    with SummaryWriter(tmp_path) as writer, pytest.raises(NotImplementedError, match=name):
        getattr(writer, name)("tag")


def test_many_writers_of_one_second_have_files_of_their_own(tmp_path):
    for _ in range(3):
        SummaryWriter(tmp_path).close()
    assert len(list(tmp_path.iterdir())) == 3
