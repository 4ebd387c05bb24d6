"""`SummaryWriter`: event files that TensorBoard shows, written without TensorBoard.

>>> import framework as torch, tempfile
>>> from framework.utils.tensorboard import SummaryWriter
>>> with SummaryWriter(tempfile.mkdtemp()) as writer:
...     for step in range(3):
...         writer.add_scalar("loss", 1 / (step + 1), step)
"""

from __future__ import annotations

from framework.utils.tensorboard.records import FileWriter
from framework.utils.tensorboard.writer import SummaryWriter

__all__ = ["FileWriter", "SummaryWriter"]
