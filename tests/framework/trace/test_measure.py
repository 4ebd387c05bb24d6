"""The wire's ``measure``, ``updates`` and ``compute``, asked of a program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.trace import recording
from framework.trace.client import Client, RequestError
from framework.trace.events import ParamUpdate
from framework.trace.gate import Gate
from framework.trace.server import Service


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A program after three steps, and a viewer."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with recording(keep="all") as tape:
        service = Service(tape, Gate(tape), "measured")
        try:
            with Client.connect(service.name) as client:
                torch.manual_seed(0)
                model = nn.Linear(4, 3)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for _ in range(3):
                    optimizer.zero_grad()
                    model(torch.ones(2, 4)).pow(2).sum().backward()
                    optimizer.step()
                yield client, model, tape
        finally:
            service.close()


def test_a_program(asked) -> None:
    client, model, tape = asked
    updates = client.request("updates").result(60)
    assert [u.tensor for u in updates] == [model.weight._id, model.bias._id]
    weight = float(np.linalg.norm(model.weight.detach().numpy()))
    assert updates[0].value.norm == pytest.approx(weight, rel=1e-6)
    events = client.request("events", first=1, last=tape.seq).result(60)
    last = [e for e in events if isinstance(e, ParamUpdate)][-2]
    of = [[last.tensor.id, last.seq], [last.tensor.id, last.seq, last.parent], [10**9, 5]]
    value, change, nothing = client.request("measure", of=of).result(60)
    assert value.norm == updates[0].value.norm and change.norm == updates[0].change.norm
    assert nothing is None
    found = client.request(
        "compute", expression="w.norm() * 2", of={"w": [last.tensor.id, last.seq]}
    ).result(60)
    assert found.text.startswith(f"{2 * weight:.6g}"[:6])
    for method, params, said in (
        ("measure", {"of": [[1]]}, "measure: each of them"),
        ("measure", {"of": [[1, 1]] * 2000}, "up to 1000"),
        ("updates", {"tensors": ["a"]}, "updates: tensors"),
        ("compute", {"expression": "w", "of": {"w": 1}}, "compute: each name"),
        ("compute", {"expression": "open(w)", "of": {}}, "open is no value"),
    ):
        with pytest.raises(RequestError, match=said):
            client.request(method, **params).result(60)
