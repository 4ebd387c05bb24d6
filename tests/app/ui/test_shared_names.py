"""A parameter that two modules share is found on the screen by the name that either gives it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ui_driver import program, write

TIED = """\
# %%
import framework as torch
from framework import nn

class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
        self.hidden = nn.Linear(4, 4)
        self.head.weight = self.emb.weight

    def forward(self, x):
        return self.head(self.hidden(self.emb(x)))

model = LM()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

# %%
for step in range(2):
    optimizer.zero_grad()
    model(torch.arange(6)).pow(2).mean().backward()
    optimizer.step()
"""


def test_search_breakpoint_table_inspector_and_watch(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with program(write(tmp_path / "tied.py", TIED), (120, 40)) as d:
            session = d.session
            for line in ("grad head.weight norm > 0 step 1", "grad weight norm > 0"):
                await d.press("B", *line, "enter")
            await d.press("f6")
            await d.stopped()
            assert "gradient of model.emb.weight" in session.stop.message
            await d.press("W", *"head.weight.norm()", "enter")
            await d.press("ctrl+o", "b")
            assert "2 names end in 'weight'" in d.pane("breakpoints")
            await d.press("c")
            await d.idle()
            await d.press("2", "/", *"model.head.weight", "enter")
            assert d.main.graph.found > 0
            assert "nothing found" not in d.text()
            await d.press("escape", "N", "ctrl+o", "w")
            await d.until(lambda: "= f32[] " in d.pane("watches"), "its norm, from the tape")

    asyncio.run(scenario())
