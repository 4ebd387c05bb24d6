"""Common mistakes with optimizers, schedules, scalers, datasets, pruning and `nn.utils`.

Kinds and words are those of PyTorch 2.13 where it raises at all; docstrings name the kinds.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

import framework as torch
import framework.nn.attention.flex_attention as flex
from framework import amp, distributions, nn, ones, optim
from framework.nn import attention, utils
from framework.nn.utils import parametrizations, parametrize, prune, rnn
from framework.optim import lr_scheduler, swa_utils
from framework.utils import data
from tests.mistakes import check, entries, unnamed

SPACES = {"amp": amp, "data": data, "lr_scheduler": lr_scheduler, "optim": optim, "prune": prune,
          "rnn": rnn, "swa_utils": swa_utils}  # fmt: skip

MISTAKES = """
    optim.Adam([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.Adam([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.Adam([weight(2, 2)], betas=(1.0, 0.9)) -> ValueError: Invalid beta parameter at index 0:
    optim.Adam([weight(2, 2)], betas=(0.9,)) -> IndexError: expected two decay rates, but got 1
    optim.AdamW([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.AdamW([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.AdamW([weight(2, 2)], betas=(1.0, 0.9)) -> ValueError: Invalid beta parameter at index 0:
    optim.AdamW([weight(2, 2)], betas=(0.9,)) -> IndexError: expected two decay rates, but got 1
    optim.RMSprop([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.RMSprop([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.RMSprop([weight(2, 2)], eps=-1.0) -> ValueError: Invalid epsilon value: -1.0
    optim.Adagrad([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.Adagrad([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.Adagrad([weight(2, 2)], eps=-1.0) -> ValueError: Invalid epsilon value: -1.0
    optim.Adadelta([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.Adadelta([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value:
    optim.Adadelta([weight(2, 2)], eps=-1.0) -> ValueError: Invalid epsilon value: -1.0
    optim.Adamax([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.Adamax([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.Adamax([weight(2, 2)], betas=(1.0, 0.9)) -> ValueError: Invalid beta parameter at index
    optim.Adamax([weight(2, 2)], betas=(0.9,)) -> IndexError: expected two decay rates, but got 1
    optim.NAdam([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.NAdam([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.NAdam([weight(2, 2)], betas=(1.0, 0.9)) -> ValueError: Invalid beta parameter at index 0:
    optim.NAdam([weight(2, 2)], betas=(0.9,)) -> IndexError: expected two decay rates, but got 1
    optim.RAdam([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.RAdam([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.RAdam([weight(2, 2)], betas=(1.0, 0.9)) -> ValueError: Invalid beta parameter at index 0:
    optim.RAdam([weight(2, 2)], betas=(0.9,)) -> IndexError: expected two decay rates, but got 1
    optim.Rprop([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.Rprop([weight(2, 2)], lr=ones(2)) -> ValueError: Tensor lr must be 1-element
    optim.ASGD([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.ASGD([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.ASGD([weight(2, 2)], lr=ones(2)) -> ValueError: Tensor lr must be 1-element
    optim.SGD([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.SGD([weight(2, 2)], weight_decay=-1.0) -> ValueError: Invalid weight_decay value: -1.0
    optim.SGD([weight(2, 2)], momentum=-1.0) -> ValueError: Invalid momentum value: -1.0
    optim.Adafactor([weight(2, 2)], lr=-1.0) -> ValueError: Learning rate should be >= 0 but is:
    optim.Adafactor([weight(2, 2)], weight_decay=-1.0) -> ValueError: weight_decay should be >= 0
    optim.Adafactor([weight(2, 2)], lr=ones(2)) -> ValueError: Tensor lr must be 1-element
    optim.Muon([weight(2, 2)], lr=-1.0) -> ValueError: Learning rate should be >= 0 but is: -1.0
    optim.Muon([weight(2, 2)], weight_decay=-1.0) -> ValueError: weight decay should be >= 0 but
    optim.Muon([weight(2, 2)], momentum=-1.0) -> ValueError: momentum should be >= 0 but is: -1.0
    optim.LBFGS([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.LBFGS([weight(2, 2)], lr=ones(2)) -> ValueError: Tensor lr must be 1-element
    optim.SparseAdam([weight(2, 2)], lr=-1.0) -> ValueError: Invalid learning rate: -1.0
    optim.SparseAdam([weight(2, 2)], betas=(1.0, 0.9)) -> ValueError: Invalid beta parameter at
    optim.SparseAdam([weight(2, 2)], betas=(0.9,)) -> IndexError: expected two decay rates, but got
    optim.SparseAdam([weight(2, 2)], eps=-1.0) -> ValueError: Invalid epsilon value: -1.0
    optim.Rprop([weight(2)], etas=(2.0, 0.5)) -> ValueError: Invalid eta values: 2.0, 0.5
    optim.LBFGS([{"params": [weight(2)]}, {"params": [weight(1)]}]) -> ValueError: LBFGS doesn't
    stepped(*(lambda p: (optim.Muon([p]), p))(weight(2, 2, dtype=torch.complex64))) -> RuntimeError
    stepped(*(lambda p: (optim.SparseAdam([p]), p))(weight(2))) -> RuntimeError: SparseAdam does
    optim.Optimizer(weight(2), {}) -> TypeError: params argument given to the optimizer should be
    optim.Optimizer([], {}) -> ValueError: optimizer got an empty parameter list
    optim.Optimizer([3], {}) -> TypeError: optimizer can only optimize Tensors, but one of the
    optim.Optimizer([weight(2) * 1], {}) -> ValueError: can't optimize a non-leaf Tensor
    optim.Optimizer([{"lr": 1.0}], {}) -> KeyError: 'params'
    (lambda p: optim.Optimizer([{"params": [p]}, {"params": [p]}], {}))(weight(2)) -> ValueError
    lr_scheduler.StepLR(3, 2) -> TypeError: int is not an Optimizer
    lr_scheduler.StepLR(sgd(), 2, last_epoch=3) -> KeyError: "param 'initial_lr' is not specified
    lr_scheduler.LambdaLR(sgd(), 3) -> TypeError: lr_lambda should be a function, but got int
    lr_scheduler.LambdaLR(sgd(), []) -> ValueError: Expected 1 lr_lambdas, but got 0
    lr_scheduler.LambdaLR(sgd(), lambda e: "a") -> TypeError: can't multiply sequence by non-int of
    lr_scheduler.MultiplicativeLR(sgd(), []) -> ValueError: Expected 1 lr_lambdas, but got 0
    lr_scheduler.MultiplicativeLR(3, lambda e: 1.0) -> TypeError: int is not an Optimizer
    lr_scheduler.MultiStepLR(sgd(), 3) -> TypeError: 'int' object is not iterable
    lr_scheduler.ExponentialLR(3, 0.5) -> TypeError: int is not an Optimizer
    lr_scheduler.ExponentialLR(sgd(), "a").step() -> TypeError: can't multiply sequence by non-int
    lr_scheduler.LinearLR(sgd(), 0.0) -> ValueError: Starting multiplicative factor expected to be
    lr_scheduler.LinearLR(sgd(), 2.0) -> ValueError: Starting multiplicative factor expected to be
    lr_scheduler.LinearLR(sgd(), 0.5, 2.0) -> ValueError: Ending multiplicative factor expected to
    lr_scheduler.ConstantLR(sgd(), 2.0) -> ValueError: Constant multiplicative factor expected to
    lr_scheduler.PolynomialLR(3) -> TypeError: int is not an Optimizer
    lr_scheduler.CosineAnnealingLR(sgd(), 0).step() -> ZeroDivisionError: integer modulo by zero
    lr_scheduler.CosineAnnealingLR(3, 1) -> TypeError: int is not an Optimizer
    lr_scheduler.CosineAnnealingWarmRestarts(sgd(), 0) -> ValueError: Expected positive integer
    lr_scheduler.CosineAnnealingWarmRestarts(sgd(), 2, 0) -> ValueError: Expected integer T_mult >=
    lr_scheduler.CosineAnnealingWarmRestarts(sgd(), 2.5) -> ValueError: Expected positive integer
    lr_scheduler.SequentialLR(sgd(), [], []) -> ValueError: SequentialLR expects at least one
    lr_scheduler.SequentialLR(sgd(), [lr_scheduler.StepLR(sgd(), 1)], []) -> ValueError
    lr_scheduler.ChainedScheduler([]) -> ValueError: ChainedScheduler expects at least one
    lr_scheduler.ReduceLROnPlateau(sgd(), factor=1.0) -> ValueError: Factor should be < 1.0
    lr_scheduler.ReduceLROnPlateau(sgd(), mode="x") -> ValueError: mode x is unknown!
    lr_scheduler.ReduceLROnPlateau(sgd(), threshold_mode="x") -> ValueError: threshold mode x is
    lr_scheduler.CyclicLR(sgd(), 0.1, 1.0, mode="x", cycle_momentum=False) -> ValueError: mode is
    lr_scheduler.CyclicLR(sgd(), [0.1, 0.2], 1.0, cycle_momentum=False) -> ValueError: base_lr must
    lr_scheduler.OneCycleLR(sgd(), 1.0, cycle_momentum=False) -> ValueError: You must define either
    lr_scheduler.OneCycleLR(sgd(), 1.0, 10, pct_start=2.0, cycle_momentum=False) -> ValueError
    lr_scheduler.OneCycleLR(sgd(), 1.0, 10, anneal_strategy="x", cycle_momentum=False) -> ValueError
    lr_scheduler.LRScheduler(sgd()) -> NotImplementedError
    lr_scheduler.LRScheduler(3) -> TypeError: int is not an Optimizer
    lr_scheduler.LRScheduler(sgd(), 3) -> KeyError: "param 'initial_lr' is not specified in
    swa_utils.SWALR(sgd(), 0.5, 2, "x") -> ValueError: anneal_strategy must be one of 'cos' or
    swa_utils.SWALR(sgd(), 0.5, -2) -> ValueError: anneal_epochs must be equal or greater than 0,
    swa_utils.SWALR(sgd(), [0.5, 1.0]) -> ValueError: swa_lr must have the same length as
    swa_utils.AveragedModel(nn.Linear(1, 1), avg_fn=1, multi_avg_fn=2) -> AssertionError: Only one
    swa_utils.AveragedModel(nn.Linear(1, 1)).update_parameters(nn.Linear(2, 2)) -> RuntimeError
    amp.autocast("x") -> RuntimeError: User specified an unsupported autocast device_type 'x'
    amp.autocast(3) -> ValueError: Expected `device_type` of type `str`, got: `<class 'int'>`
    amp.GradScaler("cpu", growth_factor=1.0) -> AssertionError: The growth factor must be > 1.0
    amp.GradScaler("cpu", backoff_factor=1.0) -> AssertionError: The backoff factor must be < 1.0
    amp.GradScaler("cpu").scale(3) -> ValueError: outputs must be a Tensor or an iterable of Tensors
    amp.GradScaler("cpu").step(sgd()) -> AssertionError: Attempted step but _scale is None.  This
    data.TensorDataset(ones(2), ones(3)) -> AssertionError: Size mismatch between tensors: [2] and
    data.TensorDataset(ones(2))[5] -> IndexError: index 5 is out of bounds for dimension 0 with
    data.TensorDataset(torch.tensor(1.0)) -> IndexError: Dimension specified as 0 but tensor has no
    data.ConcatDataset([]) -> AssertionError: datasets should not be an empty iterable
    data.ConcatDataset([[1], [2]])[5] -> IndexError: index 5 is out of range for 2 samples
    data.ConcatDataset([[1], [2]])[-5] -> ValueError: absolute value of index should not exceed
    list(data.ChainDataset([[1]])) -> AssertionError: ChainDataset only supports IterableDataset
    len(data.ChainDataset([[1]])) -> AssertionError: ChainDataset only supports IterableDataset
    data.StackDataset() -> ValueError: At least one dataset should be passed
    data.StackDataset([1], [1, 2]) -> ValueError: Size mismatch between datasets
    data.StackDataset([1], a=[1]) -> ValueError: Supported either ``tuple``- (via ``args``)
    data.StackDataset([1])[5] -> IndexError: list index out of range
    data.Subset([1, 2], [5])[0] -> IndexError: list index out of range
    data.Subset([1, 2], [0])[5] -> IndexError: list index out of range
    data.Dataset()[0] -> NotImplementedError: Subclasses of Dataset should implement __getitem__
    len(data.Dataset()) -> TypeError: object of type 'Dataset' has no len()
    data.Dataset() + 3 -> TypeError: object of type 'Dataset' has no len()
    list(data.IterableDataset()) -> TypeError: Can't instantiate abstract class IterableDataset
    next(iter(data.IterableDataset())) -> TypeError: Can't instantiate abstract class
    list(data.Sampler()) -> NotImplementedError: Subclasses of Sampler should implement __iter__
    list(data.SequentialSampler(3)) -> TypeError: object of type 'int' has no len()
    len(data.SequentialSampler(3)) -> TypeError: object of type 'int' has no len()
    data.RandomSampler([1], num_samples=0) -> ValueError: num_samples should be a positive integer
    data.RandomSampler([1], num_samples="a") -> ValueError: num_samples should be a positive
    data.RandomSampler([1], replacement=3) -> TypeError: replacement should be a boolean value, but
    list(data.RandomSampler([])) -> ValueError: num_samples should be a positive integer value, but
    data.RandomSampler(3) -> TypeError: object of type 'int' has no len()
    list(data.SubsetRandomSampler(3)) -> TypeError: object of type 'int' has no len()
    data.WeightedRandomSampler([1.0], 0) -> ValueError: num_samples should be a positive integer
    data.WeightedRandomSampler([1.0], "a") -> ValueError: num_samples should be a positive integer
    data.WeightedRandomSampler([1.0], 1, replacement=3) -> ValueError: replacement should be a
    list(data.WeightedRandomSampler([-1.0], 1)) -> RuntimeError: probability tensor contains either
    list(data.WeightedRandomSampler([0.0], 1)) -> RuntimeError: invalid multinomial distribution
    list(data.WeightedRandomSampler([1.0], 2, replacement=False)) -> RuntimeError: cannot draw 2
    data.BatchSampler([1], 0, False) -> ValueError: batch_size should be a positive integer value,
    data.BatchSampler([1], 2.5, False) -> ValueError: batch_size should be a positive integer
    data.BatchSampler([1], 2, 3) -> ValueError: drop_last should be a boolean value, but got
    data.DistributedSampler([1]) -> RuntimeError: Requires distributed package to be available
    data.DistributedSampler([1], 2, 5) -> ValueError: Invalid rank 5, rank should be in the
    data.DistributedSampler([1], 2, -1) -> ValueError: Invalid rank -1, rank should be in the
    data.DistributedSampler([1], 0, 0) -> ValueError: Invalid rank 0, rank should be in the
    data.DataLoader([1], batch_size=0) -> ValueError: batch_size should be a positive integer
    data.DataLoader([1], num_workers=-1) -> ValueError: num_workers option should be non-negative;
    data.DataLoader([1], timeout=-1) -> ValueError: timeout option should be non-negative
    data.DataLoader(data.IterableDataset(), shuffle=True) -> TypeError: Can't instantiate abstract
    data.DataLoader(data.IterableDataset(), sampler=[0]) -> TypeError: Can't instantiate abstract
    list(data.DataLoader(3)) -> TypeError: object of type 'int' has no len()
    list(data.DataLoader([ones(1), ones(2)], batch_size=2)) -> RuntimeError: stack expects each
    prune.BasePruningMethod() -> TypeError: Can't instantiate abstract class BasePruningMethod with
    prune.L1Unstructured("a") -> TypeError: Invalid type for amount: a. Must be int or float
    prune.L1Unstructured(2.0) -> ValueError: amount=2.0 should either be a float in the range [0,
    prune.L1Unstructured(0.5).prune(ones(2).bool()) -> NotImplementedError: "abs_cpu" not
    prune.RandomUnstructured("a") -> TypeError: Invalid type for amount: a. Must be int or float
    prune.RandomUnstructured(-1) -> ValueError: amount=-1 should either be a float in the range [0,
    prune.RandomUnstructured(9).prune(ones(2)) -> ValueError: amount=9 should be smaller than the
    prune.LnStructured(1, 2, 5).prune(ones(2, 2)) -> IndexError: Invalid index 5 for tensor of size
    prune.LnStructured(1, 2, 0).prune(ones(2)) -> ValueError: Structured pruning can only be
    prune.LnStructured(1, 2, 0).prune(ones(2, 2).long()) -> RuntimeError: linalg.vector_norm:
    prune.RandomStructured(1, 5).prune(ones(2, 2)) -> IndexError: Invalid index 5 for tensor of
    prune.RandomStructured(1, 0).prune(ones(2)) -> ValueError: Structured pruning can only be
    prune.CustomFromMask(ones(3)).prune(ones(2)) -> AssertionError: default_mask shape
    prune.Identity.apply(nn.Linear(2, 2), "nope") -> AttributeError: 'Linear' object has no
    prune.BasePruningMethod.apply(nn.Linear(2, 2), "nope") -> TypeError: Can't instantiate abstract
    prune.PruningContainer().add_pruning_method(3) -> TypeError: <class 'int'> is not a
    rnn.PackedSequence(ones(2)) -> AssertionError: Expected data to be a list or tuple of length 2
"""


def weight(*sizes: int, **options: Any) -> Any:
    return ones(*sizes, **options).requires_grad_()


def sgd() -> Any:
    return optim.SGD([weight(1)], lr=1.0)


def stepped(optimizer: Any, param: Any) -> None:
    param.grad = torch.ones_like(param)
    optimizer.step()


NAMES = {**SPACES, "torch": torch, "nn": nn, "ones": ones, "weight": weight, "sgd": sgd,
         "stepped": stepped}  # fmt: skip


# The same with functions.
OF_FUNCTIONS = """
    attention.sdpa_kernel(3).__enter__() -> AssertionError: Backend must be an instance of
    attention.sdpa_kernel("x").__enter__() -> AssertionError: Backend must be an instance of
    data.default_collate([object()]) -> TypeError: batch must contain tensors, numpy arrays, numbers
    data.default_collate([ones(2), ones(3)]) -> RuntimeError: stack expects each tensor to be equal
    data.random_split([1, 2], [0.3, 0.3]) -> ValueError: Sum of input lengths does not equal the
    distributions.kl_divergence(3, 4) -> NotImplementedError: No KL(p || q) is implemented for p
    distributions.register_kl(3, 4) -> TypeError: Expected type_p to be a subclass of Distribution
    flex.and_masks(flex.noop_mask, 3) -> RuntimeError: All inputs should be callable mask_mods
    flex.create_block_mask(3, 1, 1, 2, 2) -> TypeError: 'int' object is not callable
    flex.create_mask(3, 1, 1, 2, 2) -> TypeError: 3 is not a callable object
    flex.flex_attention(ones(1, 4, 8), ones(1, 4, 8), ones(1, 4, 8)) -> NotImplementedError: must be
    flex.flex_attention(heads(8), heads(4), heads(8)) -> ValueError: the same embedding dimension
    flex.flex_attention(heads(8), heads(8).double(), heads(8)) -> RuntimeError: the same dtype
    flex.flex_attention(heads(8), heads(8), heads(8), block_mask=mask(5)) -> ValueError: was created
    flex.or_masks(3) -> RuntimeError: All inputs should be callable mask_mods
    parametrizations.orthogonal(nn.Linear(2, 2), "bias") -> ValueError: Expected a matrix or batch
    parametrizations.orthogonal(nn.Linear(2, 2), "x") -> ValueError: has no parameter or buffer with
    parametrizations.orthogonal(nn.Linear(2, 2).half()) -> RuntimeError: Low precision dtypes not
    parametrizations.spectral_norm(nn.ReLU()) -> ValueError: has no parameter or buffer with name
    parametrizations.weight_norm(nn.Linear(2, 2), dim=5) -> IndexError: Dimension out of range
    parametrizations.weight_norm(nn.ReLU()) -> ValueError: does not have a parameter, a buffer, or
    parametrize.remove_parametrizations(nn.Linear(2, 2), "weight") -> ValueError: does not have a
    prune.custom_from_mask(nn.Linear(2, 2), "weight", ones(3)) -> AssertionError: must match
    prune.global_unstructured(3, prune.L1Unstructured, amount=1) -> TypeError: is not an Iterable
    prune.global_unstructured([], prune.L1Unstructured, amount=1) -> ValueError: a non-empty list
    prune.identity(nn.Linear(2, 2), "x") -> AttributeError: 'Linear' object has no attribute 'x'
    prune.l1_unstructured(nn.Linear(2, 2), "weight", 99) -> ValueError: amount=99 should be smaller
    prune.ln_structured(nn.Linear(2, 2), "bias", 1, 2, 0) -> ValueError: Structured pruning can only
    prune.random_structured(nn.Linear(2, 2), "weight", 1, 5) -> IndexError: Invalid index 5 for
    prune.random_unstructured(nn.Linear(2, 2), "weight", 9.0) -> ValueError: amount=9.0 should
    prune.remove(nn.Linear(2, 2), "weight") -> ValueError: has to be pruned before pruning can be
    rnn.invert_permutation(ones(2)) -> RuntimeError: dtype int32 or int64, but got torch.float32
    rnn.invert_permutation(torch.tensor([1, 5])) -> RuntimeError: index 5 is out of bounds
    rnn.pack_sequence([ones(1), ones(3)]) -> RuntimeError: must be sorted in decreasing order
    rnn.pad_sequence([ones(2, 2), ones(3, 1)]) -> RuntimeError: stack expects each tensor to be
    rnn.pad_sequence([torch.tensor(1.0)]) -> RuntimeError: expected sequences of at least one
    rnn.unpad_sequence(ones(2), [1]) -> IndexError: Dimension out of range
    rnn.unpad_sequence(ones(2, 3), torch.tensor([2, 1])) -> ValueError: expected 3 lengths, but got
    swa_utils.get_ema_avg_fn(2.0) -> ValueError: Invalid decay value 2.0 provided
    swa_utils.update_bn([ones(2, 3)], nn.BatchNorm1d(2)) -> RuntimeError: should contain 3 elements
    utils.clip_grad_norm_(3, 1.0) -> TypeError: 'int' object is not iterable
    utils.fuse_conv_bn_eval(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)) -> AssertionError: Fusion only
    utils.get_total_norm([ones(2)], "a") -> ValueError: could not convert string to float: 'a'
    utils.get_total_norm([ones(2).long()]) -> RuntimeError: Expected a floating point or complex
    utils.parameters_to_vector([]) -> ValueError: expected a non-empty list of Tensors
    utils.skip_init(nn.ReLU) -> RuntimeError: Module must support a 'device' arg
    utils.spectral_norm(nn.ReLU()) -> KeyError: 'weight'
    utils.vector_to_parameters([1.0], [ones(1)]) -> TypeError: expected torch.Tensor, but got: list
    utils.vector_to_parameters(ones(4), [ones(2), ones(3)]) -> RuntimeError: shape '[3]' is invalid
    utils.weight_norm(nn.Linear(2, 2), "x") -> AttributeError: 'Linear' object has no attribute 'x'
"""


def heads(width: int) -> Any:
    return ones(1, 1, 4, width)


def mask(length: int) -> Any:
    return flex.create_block_mask(flex.noop_mask, 1, 1, length, length)


OTHERS = {"attention": attention, "distributions": distributions, "flex": flex, "heads": heads,
          "mask": mask, "parametrizations": parametrizations, "parametrize": parametrize,
          "utils": utils}  # fmt: skip


def function_of(call: str) -> Any:
    space, name = call.partition("(")[0].split(".")
    return getattr({**SPACES, **OTHERS}[space], name)


@pytest.mark.parametrize(("call", "kind", "words"), entries(OF_FUNCTIONS))
def test_a_mistake_with_a_function_is_told(call: str, kind: str, words: str) -> None:
    check(call, kind, words, {**NAMES, **OTHERS})


def class_of(call: str) -> Any:
    """The first class of one of the spaces that the call names."""
    for space, name in re.findall(rf"\b({'|'.join(SPACES)})\.(\w+)", call):
        if isinstance(getattr(SPACES[space], name), type):
            return getattr(SPACES[space], name)
    raise LookupError(call)


@pytest.mark.parametrize(("call", "kind", "words"), entries(MISTAKES))
def test_a_mistake_is_told(call: str, kind: str, words: str) -> None:
    check(call, kind, words, NAMES)


def test_docstrings_name_these_errors() -> None:
    silent = unnamed(MISTAKES, class_of) + unnamed(OF_FUNCTIONS, function_of)
    assert not silent, "\n".join(silent)


def test_every_class_has_a_mistake() -> None:
    known = {class_of(call).__name__ for call, _, _ in entries(MISTAKES)}
    public = {
        name
        for space in SPACES.values()
        for name in getattr(space, "__all__", None) or dir(space)
        if isinstance(kind := getattr(space, name), type)
        and kind.__module__.startswith("framework")
    }
    public = {name for name in public if not name.startswith("_")}
    assert public - known == {"WorkerInfo"}  # made by the loader alone
