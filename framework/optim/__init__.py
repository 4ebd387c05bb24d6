"""Optimizers and learning rate schedules."""

from __future__ import annotations

from framework.optim import lr_scheduler
from framework.optim.adam import Adam, AdamW
from framework.optim.adaptive import Adadelta, Adagrad, RMSprop
from framework.optim.optimizer import Optimizer
from framework.optim.sgd import SGD

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "SGD",
    "lr_scheduler",
]
