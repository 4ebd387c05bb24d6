"""Pruning: parameters with a mask, ``name`` = ``name_orig`` * ``name_mask``."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from framework.nn.utils.convert_parameters import parameters_to_vector
from framework.ops.random import rand

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured",
    "PruningContainer", "RandomStructured", "RandomUnstructured", "custom_from_mask",
    "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


def _ones_like(t: Any) -> Any:
    return t.detach().new_ones(t.shape)


class BasePruningMethod(ABC):
    """Base of the methods: a forward pre-hook that applies the mask.

    A subclass gives ``compute_mask`` and ``PRUNING_TYPE``: "unstructured" (elements), "structured"
    (channels) or "global". Tensors of any shape; a mask has its tensor's shape and dtype. TypeError
    for a subclass without ``compute_mask``, AttributeError when applied to a name that the module
    has not.

    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> class EverySecond(prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...
    ...     def compute_mask(self, t, default_mask):
    ...         mask = default_mask.clone()
    ...         mask.view(-1)[::2] = 0
    ...         return mask
    >>> layer = nn.Linear(4, 1, bias=False)
    >>> _ = EverySecond.apply(layer, "weight")
    >>> layer.weight_mask
    tensor([[0., 1., 0., 1.]])
    """

    PRUNING_TYPE = ""
    _tensor_name: str

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask for importance scores ``t``, on top of the mask so far; every method defines it.

        >>> import framework as torch
        >>> from framework.nn.utils import prune
        >>> method = prune.L1Unstructured(amount=1)
        >>> method.compute_mask(torch.tensor([3.0, -1.0]), default_mask=torch.ones(2))
        tensor([1., 0.])
        """

    def apply_mask(self, module: Any) -> Any:
        """The pruned tensor of a module: the original times the mask.

        >>> from framework import nn
        >>> from framework.nn.utils import prune
        >>> layer = nn.Linear(2, 1)
        >>> method = prune.L1Unstructured.apply(layer, "weight", 1)
        >>> int((method.apply_mask(layer) == 0).sum())
        1
        """
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned")
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    @classmethod
    def apply(
        cls, module: Any, name: str, *args: Any, importance_scores: Any = None, **kwargs: Any
    ) -> Any:
        """Prune ``module.name``, on top of what was pruned before; returns the hook.

        The parameter becomes ``name_orig``, the mask a buffer ``name_mask``. AssertionError for
        ``importance_scores`` of another shape than the parameter's.

        >>> from framework import nn
        >>> from framework.nn.utils import prune
        >>> layer = nn.Linear(2, 1)
        >>> _ = prune.RandomUnstructured.apply(layer, "weight", 0.5)
        >>> sorted(layer.state_dict())
        ['bias', 'weight_mask', 'weight_orig']
        """
        method = cls._combined(module, name, args, kwargs)
        original = getattr(module, name)
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}, "
                f"got {scores.shape} vs {original.shape}"
            )
        first = not isinstance(method, PruningContainer)
        if first:
            module.register_parameter(name + "_orig", original)
            del module._parameters[name]
            mask = _ones_like(original)
        else:
            mask = getattr(module, name + "_mask").detach().clone()
        try:
            mask = method.compute_mask(scores, default_mask=mask)
            module.register_buffer(name + "_mask", mask)
            setattr(module, name, method.apply_mask(module))
            module.register_forward_pre_hook(method)
        except Exception:  # the method may be the user's; what was changed is put back
            if first:
                module.register_parameter(name, getattr(module, name + "_orig"))
                del module._parameters[name + "_orig"]
            raise
        return method

    @classmethod
    def _combined(cls, module: Any, name: str, args: Any, kwargs: Any) -> Any:
        """This method, or a container of the tensor's older ones and this."""
        keys = [
            key
            for key, hook in module._forward_pre_hooks.items()
            if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
        ]
        if len(keys) > 1:
            raise AssertionError(
                f"Avoid adding multiple pruning hooks to the same tensor {name} of module "
                f"{module}. Use a PruningContainer."
            )
        old = module._forward_pre_hooks.pop(keys[0]) if keys else None
        method = cls(*args, **kwargs)
        method._tensor_name = name
        if old is None:
            return method
        container = old if isinstance(old, PruningContainer) else PruningContainer(old)
        container.add_pruning_method(method)
        return container

    def prune(self, t: Any, default_mask: Any = None, importance_scores: Any = None) -> Any:
        """A pruned copy of a tensor, without any module.

        AssertionError for ``importance_scores`` of another shape than the tensor's.

        >>> import framework as torch
        >>> from framework.nn.utils import prune
        >>> prune.L1Unstructured(amount=1).prune(torch.tensor([3.0, -1.0, 2.0]))
        tensor([3., -0., 2.])
        """
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                "importance_scores should have the same shape as tensor t, got "
                f"{scores.shape} vs {t.shape}"
            )
        mask = _ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=mask)

    def remove(self, module: Any) -> None:
        """Make the pruned tensor an ordinary parameter: the pruning is for good.

        The function `remove` takes the hook away, too.

        >>> from framework import nn
        >>> from framework.nn.utils import prune
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> method = prune.L1Unstructured.apply(layer, "weight", 1)
        >>> method.remove(layer)
        >>> list(layer.state_dict())
        ['weight']
        """
        if self._tensor_name is None:
            raise AssertionError(
                f"Module {module} has to be pruned before pruning can be removed"
            )  # fmt: skip
        name = self._tensor_name
        weight = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        original.data = weight.data
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several methods of one tensor; the newest prunes what the others left.

    Made when a pruned tensor is pruned again. TypeError for what is not a method, ValueError for
    one of another tensor. Shape and dtype of the mask are the tensor's.

    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> layer = nn.Linear(4, 1, bias=False)
    >>> for _ in range(2):
    ...     hook = prune.L1Unstructured.apply(layer, "weight", 1)
    >>> type(hook).__name__, len(hook), int(layer.weight_mask.sum())
    ('PruningContainer', 2, 2)
    """

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[Any, ...] = ()
        if len(args) == 1:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Add a method for the same tensor.

        >>> from framework.nn.utils import prune
        >>> container = prune.PruningContainer()
        >>> container._tensor_name = "weight"
        >>> method = prune.Identity()
        >>> method._tensor_name = "weight"
        >>> container.add_pruning_method(method); len(container)
        1
        """
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The newest method's mask for what the old mask leaves, and the old mask.

        >>> import framework as torch
        >>> from framework import nn
        >>> from framework.nn.utils import prune
        >>> layer = nn.Linear(4, 1, bias=False)
        >>> for _ in range(2):
        ...     hook = prune.L1Unstructured.apply(layer, "weight", 1)
        >>> mask = torch.tensor([[0.0, 1.0, 1.0, 1.0]])
        >>> hook.compute_mask(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), mask)
        tensor([[0., 0., 1., 1.]])
        """
        method = self._pruning_methods[-1]
        mask = default_mask.to(dtype=t.dtype)
        part: Any
        if method.PRUNING_TYPE == "unstructured":
            part = default_mask == 1
        elif method.PRUNING_TYPE == "structured":
            if not hasattr(method, "dim"):
                raise AttributeError(
                    'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` '
                    "defined."
                )
            dim = method.dim + t.ndim if method.dim < 0 else method.dim
            if dim < 0:
                raise IndexError(
                    f"Index is out of bounds for tensor with dimensions {t.ndim}"
                )  # fmt: skip
            others = [d for d in range(t.ndim) if d != dim]
            part = _at(t, dim, default_mask.sum(others) != 0)
        elif method.PRUNING_TYPE == "global":
            part = (slice(None),) * t.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        new = method.compute_mask(t.detach()[part], default_mask=default_mask[part])
        mask = mask.detach().clone()
        mask[part] = new.to(dtype=mask.dtype)
        return mask


def _at(t: Any, dim: int, index: Any) -> tuple[Any, ...]:
    where: list[Any] = [slice(None)] * t.ndim
    where[dim] = index
    return tuple(where)


class Identity(BasePruningMethod):
    """Prunes nothing, but makes mask and original.

    Any shape and dtype; AttributeError when applied to a name that the module has not.

    >>> import framework as torch
    >>> from framework.nn.utils import prune
    >>> prune.Identity().prune(torch.tensor([3.0, -1.0]))
    tensor([ 3., -1.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        return default_mask


class _ByAmount(BasePruningMethod):
    """Methods with an ``amount``: a share (float) or a number (int) of what is to be pruned."""

    def __init__(self, amount: Any) -> None:
        if not isinstance(amount, numbers.Real):
            raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
        whole = isinstance(amount, numbers.Integral)
        if amount < 0 or (not whole and float(amount) > 1.0):
            raise ValueError(
                f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
                "integer"
            )
        self.amount: Any = amount

    def _count(self, size: int) -> int:
        """How many of ``size`` are to be pruned."""
        whole = isinstance(self.amount, numbers.Integral)
        count = int(self.amount) if whole else round(self.amount * size)
        if count > size:
            raise ValueError(
                f"amount={count} should be smaller than the number of parameters to prune={size}"
            )
        return count

    def _without_smallest(self, scores: Any, default_mask: Any, largest: bool) -> Any:
        count = self._count(scores.numel())
        mask = default_mask.clone()
        if count:
            found = scores.detach().reshape(-1).topk(count, largest=largest)[1]
            mask.view(-1)[found] = 0
        return mask


class RandomUnstructured(_ByAmount):
    """Prunes elements by chance: ``amount`` is their share (float) or number (int).

    Any shape and dtype. TypeError for an amount that is no number; ValueError for a share outside
    of [0, 1], a negative number, and when applied for more than there are.

    >>> import framework as torch
    >>> from framework.nn.utils import prune
    >>> int((prune.RandomUnstructured(0.5).prune(torch.ones(10)) == 0).sum())
    5
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        return self._without_smallest(rand(t.shape, device=t.device), default_mask, True)


class L1Unstructured(_ByAmount):
    """Prunes the elements with the smallest absolute values; ``amount`` as of `RandomUnstructured`.

    Any shape, all dtypes but bool (NotImplementedError); further errors as of `RandomUnstructured`:
    TypeError and ValueError for the amount.

    >>> import framework as torch
    >>> from framework.nn.utils import prune
    >>> prune.L1Unstructured(0.5).prune(torch.tensor([3.0, -1.0, 2.0, 0.5]))
    tensor([3., -0., 2., 0.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        return self._without_smallest(t.abs(), default_mask, False)


class _Structured(_ByAmount):
    PRUNING_TYPE = "structured"
    dim: int

    def _check(self, t: Any) -> int:
        """The number of channels to be pruned."""
        if t.ndim <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. Found tensor "
                f"of shape {t.shape} with {t.ndim} dims"
            )
        if self.dim >= t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        return self._count(t.shape[self.dim])

    def _keep(self, t: Any, channels: Any, default_mask: Any) -> Any:
        mask = t.detach().new_zeros(t.shape)
        mask[_at(t, self.dim, channels)] = 1
        return mask * default_mask.to(dtype=mask.dtype)


class RandomStructured(_Structured):
    """Prunes whole channels along ``dim`` by chance; ``amount`` is their share or number.

    (*, n, *), any dtype. ValueError for a tensor of fewer than two dimensions and for more channels
    than there are, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> from framework.nn.utils import prune
    >>> pruned = prune.RandomStructured(amount=1, dim=0).prune(torch.ones(3, 2))
    >>> pruned.sum(1).sort()[0]
    tensor([0., 2., 2.])
    """

    def __init__(self, amount: Any, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        count = self._check(t)
        if not count:
            return default_mask
        chance = rand(t.shape[self.dim], device=t.device)
        return self._keep(t, chance > chance.kthvalue(count)[0], default_mask)


class LnStructured(_Structured):
    """Prunes the channels along ``dim`` with the smallest ``n``-norms.

    (*, n, *) of float or complex dtype (RuntimeError for integers). Amount and errors as of
    `RandomStructured`: ValueError for its size, IndexError for the dimension.

    >>> import framework as torch
    >>> from framework.nn.utils import prune
    >>> method = prune.LnStructured(amount=1, n=2, dim=0)
    >>> method.prune(torch.tensor([[1.0, 2.0], [0.5, 0.5], [3.0, 0.0]]))
    tensor([[1., 2.],
            [0., 0.],
            [3., 0.]])
    """

    def __init__(self, amount: Any, n: Any, dim: int = -1) -> None:
        super().__init__(amount)
        self.n = n
        self.dim = dim

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        count = self._check(t)
        if not count:
            return default_mask
        dims = list(range(t.ndim))
        del dims[self.dim]
        norms = t.detach().norm(self.n, dim=dims)
        return self._keep(t, norms.topk(t.shape[self.dim] - count)[1], default_mask)


class CustomFromMask(BasePruningMethod):
    """Prunes what a given mask says: where it is 0.

    AssertionError when applied to a tensor of another shape. Any shape and dtype.

    >>> import framework as torch
    >>> from framework.nn.utils import prune
    >>> mask = torch.tensor([1.0, 0.0])
    >>> prune.CustomFromMask(mask).prune(torch.tensor([3.0, -1.0]))
    tensor([3., -0.])
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"default_mask shape {default_mask.shape} must match self.mask shape "
                f"{self.mask.shape}"
            )
        return default_mask * self.mask.to(dtype=default_mask.dtype)


def identity(module: Any, name: str) -> Any:
    """Prune nothing, but make mask and original; returns the module.

    Any shape and dtype. AttributeError for a name that the module does not have.

    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> sorted(prune.identity(nn.Linear(2, 1), "weight").state_dict())
    ['bias', 'weight_mask', 'weight_orig']
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: Any, name: str, amount: Any) -> Any:
    """Prune a share (float) or number (int) of the elements by chance; returns the module.

    Any shape and dtype. Errors as of `RandomUnstructured`: TypeError, ValueError.

    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> layer = prune.random_unstructured(nn.Linear(4, 5), "weight", amount=0.25)
    >>> int((layer.weight == 0).sum())
    5
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Any, name: str, amount: Any, importance_scores: Any = None) -> Any:
    """Prune the elements with the smallest absolute values (or scores); returns the module.

    ``amount`` is their share (float) or number (int); any shape, all dtypes but bool; errors as of
    `RandomUnstructured` (TypeError, ValueError), and AssertionError for ``importance_scores`` of
    another shape.

    >>> import framework as torch
    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> layer = nn.Linear(3, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[0.1, -3.0, 2.0]]))
    >>> prune.l1_unstructured(layer, "weight", amount=1).weight_mask
    tensor([[0., 1., 1.]])
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Any, name: str, amount: Any, dim: int) -> Any:
    """Prune channels along ``dim`` by chance; returns the module.

    (*, n, *) of any dtype. Errors as of `RandomStructured`: ValueError, IndexError.

    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> layer = prune.random_structured(nn.Linear(4, 5), "weight", amount=2, dim=0)
    >>> int((layer.weight == 0).all(1).sum())
    2
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Any, name: str, amount: Any, n: Any, dim: int, importance_scores: Any = None
) -> Any:
    """Prune the channels along ``dim`` with the smallest ``n``-norms; returns the module.

    (*, n, *) of float or complex dtype. Errors as of `RandomStructured`: ValueError, IndexError.

    >>> import framework as torch
    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> layer = nn.Linear(2, 2, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[0.1, -3.0], [2.0, 0.2]]))
    >>> prune.ln_structured(layer, "weight", amount=1, n=2, dim=0).weight_mask
    tensor([[1., 1.],
            [0., 0.]])
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Any, name: str, mask: Any) -> Any:
    """Prune where ``mask``, of the parameter's shape, is 0; returns the module.

    Any dtype. AssertionError for a mask of another shape, AttributeError for a name that the module
    does not have.

    >>> import framework as torch
    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> prune.custom_from_mask(layer, "weight", torch.tensor([[1, 0]])).weight_mask
    tensor([[1., 0.]])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Any, pruning_method: Any, importance_scores: Any = None, **kwargs: Any
) -> None:
    """Prune several (module, name) pairs as if they were one tensor.

    Args:
        pruning_method: `L1Unstructured` or another of type "unstructured" (TypeError for others);
            takes ``kwargs``.
        importance_scores: a dict from pairs to scores, for those whose values are not the scores.

    Tensors of any shape, of dtypes that promote to one. TypeError for what is not iterable,
    ValueError for none and for an amount beyond them.

    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    >>> pairs = [(layer, "weight") for layer in model]
    >>> prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.25)
    >>> sum(int((layer.weight == 0).sum()) for layer in model)
    8
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    pairs = list(parameters)
    tensors = [getattr(module, name) for module, name in pairs]
    every = parameters_to_vector(
        [scores.get(tuple(pair), t).detach() for pair, t in zip(pairs, tensors)]
    )
    masks = parameters_to_vector(
        [getattr(m, name + "_mask", _ones_like(t)) for (m, name), t in zip(pairs, tensors)]
    )
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    container = PruningContainer()
    container._tensor_name = method._tensor_name = "temp"
    container.add_pruning_method(method)
    final = container.compute_mask(every, masks)
    start = 0
    for (module, name), t in zip(pairs, tensors):
        custom_from_mask(module, name, final[start : start + t.numel()].view(t.shape))
        start += t.numel()


def remove(module: Any, name: str) -> Any:
    """Make a pruned tensor an ordinary parameter: the pruning is for good. Returns the module.

    ValueError if it is not pruned. Shape and dtype stay.

    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> layer = prune.l1_unstructured(nn.Linear(2, 1, bias=False), "weight", amount=1)
    >>> list(prune.remove(layer, "weight").state_dict()), int((layer.weight == 0).sum())
    (['weight'], 1)
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Any) -> bool:
    """Whether the module or one below it has a pruned tensor.

    AttributeError for what is no module.

    >>> from framework import nn
    >>> from framework.nn.utils import prune
    >>> model = nn.Sequential(prune.identity(nn.Linear(2, 1), "weight"))
    >>> prune.is_pruned(model), prune.is_pruned(nn.Linear(2, 1))
    (True, False)
    """
    return any(
        isinstance(hook, BasePruningMethod)
        for part in module.modules()
        for hook in part._forward_pre_hooks.values()
    )
