"""Optimizers and learning rate schedules."""

from __future__ import annotations

from framework.optim import lr_scheduler, swa_utils
from framework.optim.adam import Adam, AdamW
from framework.optim.adaptive import Adadelta, Adagrad, RMSprop
from framework.optim.lbfgs import LBFGS
from framework.optim.matrices import Adafactor, Muon
from framework.optim.optimizer import Optimizer
from framework.optim.resilient import ASGD, Rprop
from framework.optim.sgd import SGD
from framework.optim.sparse_adam import SparseAdam
from framework.optim.variants import Adamax, NAdam, RAdam

__all__ = [
    "ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "LBFGS", "Muon", "NAdam",
    "Optimizer", "RAdam", "RMSprop", "Rprop", "SGD", "SparseAdam", "lr_scheduler", "swa_utils",
]  # fmt: skip
