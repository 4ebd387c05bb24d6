"""Activation layers; each calls the function of its name in `nn.functional`."""

from __future__ import annotations

import warnings
from typing import Any

from framework.nn import functional as F
from framework.nn import init
from framework.nn.modules.factories import empty
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU",
    "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign",
    "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _InPlace(Module):
    """An activation whose only setting is ``inplace``."""

    _call: Any = None

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return self._call(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """max(0, x), element by element: (*) to (*). ``inplace=True`` writes into the input.

    RuntimeError if that is a leaf which wants a gradient. Dtypes: float and integer types
    (RuntimeError for bool, NotImplementedError for complex ones). Nair and Hinton, "Rectified
    linear units improve restricted Boltzmann machines", 2010.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    _call: Any = staticmethod(F.relu)


class SELU(_InPlace):
    """1.0507 (x where it is positive, else 1.6733 (exp(x) - 1)), element by element: (*) to (*).

    With these numbers deep nets keep mean 0 and variance 1 (Klambauer et al., "Self-normalizing
    neural networks", 2017); use `nn.AlphaDropout` with it. ``inplace=True`` writes into the input.
    Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.SELU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.1113,  0.0000,  1.0507])
    """

    _call: Any = staticmethod(F.selu)


class SiLU(_InPlace):
    """x sigmoid(x), element by element: (*) to (*); also known as swish.

    Elfwing et al., "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", 2017. ``inplace=True`` writes into the input. Dtypes: float and complex
    types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.SiLU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """

    _call: Any = staticmethod(F.silu)


class Mish(_InPlace):
    """x tanh(softplus(x)), element by element: (*) to (*).

    Misra, "Mish: A self regularized non-monotonic activation function", 2019. ``inplace=True``
    writes into the input. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Mish()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """

    _call: Any = staticmethod(F.mish)


class Hardswish(_InPlace):
    """x relu6(x + 3) / 6, element by element: (*) to (*); `SiLU` without an exponential.

    Howard et al., "Searching for MobileNetV3", 2019. ``inplace=True`` writes into the input.
    Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Hardswish()(torch.tensor([-4.0, -1.0, 1.0, 4.0]))
    tensor([-0.0000, -0.3333,  0.6667,  4.0000])
    """

    _call: Any = staticmethod(F.hardswish)

    def extra_repr(self) -> str:
        return ""


class Hardsigmoid(_InPlace):
    """relu6(x + 3) / 6, element by element: (*) to (*); `Sigmoid` without an exponential.

    ``inplace=True`` writes into the input. Dtypes: float types (NotImplementedError for others).
    Howard et al., "Searching for MobileNetV3", 2019.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Hardsigmoid()(torch.tensor([-4.0, 0.0, 1.5, 4.0]))
    tensor([0.0000, 0.5000, 0.7500, 1.0000])
    """

    _call: Any = staticmethod(F.hardsigmoid)

    def extra_repr(self) -> str:
        return ""


class LeakyReLU(Module):
    """x where it is positive, else negative_slope x: (*) to (*).

    Maas et al., "Rectifier nonlinearities improve neural network acoustic models", 2013.
    ``inplace=True`` writes into the input. Dtypes: float types (NotImplementedError for others);
    TypeError when called with a slope that is no number.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.LeakyReLU(0.1)(torch.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class _ELU(Module):
    _call: Any

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return self._call(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class ELU(_ELU):
    """x where it is positive, else alpha (exp(x) - 1): (*) to (*).

    Clevert et al., "Fast and accurate deep network learning by exponential linear units (ELUs)",
    2015. ``inplace=True`` writes into the input. Dtypes: float types (NotImplementedError for
    others); TypeError when called with an ``alpha`` that is no number.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ELU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    _call: Any = staticmethod(F.elu)


class CELU(_ELU):
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1)): (*) to (*); smooth at 0 for every alpha.

    Barron, "Continuously differentiable exponential linear units", 2017. ``inplace=True`` writes
    into the input. Dtypes: float types (NotImplementedError for others); RuntimeError when called
    with ``alpha`` 0.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.CELU(2.0)(torch.tensor([-1.0, 2.0]))
    tensor([-0.7869,  2.0000])
    """

    _call: Any = staticmethod(F.celu)


class Hardtanh(Module):
    """x limited to [min_val, max_val]: (*) to (*). ``inplace=True`` writes into the input.

    AssertionError unless ``min_val`` is the smaller one. ``min_value`` and ``max_value`` are older
    names. Dtypes: float and integer types (NotImplementedError for others, RuntimeError for uint8
    with a negative ``min_val``). Collobert, "Large scale machine learning", 2004.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Hardtanh(-1.0, 2.0)(torch.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  2.0000])
    """

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False,
        min_value: float | None = None, max_value: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        for old, value in (("min", min_value), ("max", max_value)):
            if value is not None:
                warnings.warn(
                    f"keyword argument `{old}_value` is deprecated and rename to `{old}_val`",
                    FutureWarning,
                    stacklevel=2,
                )
        min_val = min_val if min_value is None else min_value
        max_val = max_val if max_value is None else max_value
        if min_val >= max_val:
            raise AssertionError(f"max_val ({max_val}) must be greater than min_val ({min_val})")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}" + (
            ", inplace=True" if self.inplace else ""
        )


class ReLU6(Hardtanh):
    """min(max(0, x), 6), element by element: (*) to (*). ``inplace=True`` writes into the input.

    Dtypes: float and integer types (NotImplementedError for others). Krizhevsky, "Convolutional
    deep belief networks on CIFAR-10", 2010.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ReLU6()(torch.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def forward(self, input: Any) -> Any:
        return F.relu6(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class _Shrink(Module):
    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """x where |x| > lambd, else 0: (*) to (*).

    Dtypes: float types (NotImplementedError for others); TypeError when called with a ``lambd``
    that is no number. Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Hardshrink(0.5)(torch.tensor([-2.0, 0.3, 0.7]))
    tensor([-2.0000,  0.0000,  0.7000])
    """

    def forward(self, input: Any) -> Any:
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """x moved towards 0 by lambd, 0 where it would cross 0: (*) to (*).

    RuntimeError when called with a negative ``lambd``. Dtypes: float types (NotImplementedError for
    others). Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Softshrink(0.5)(torch.tensor([-2.0, 0.3, 0.75]))
    tensor([-1.5000,  0.0000,  0.2500])
    """

    def forward(self, input: Any) -> Any:
        return F.softshrink(input, self.lambd)


class Threshold(Module):
    """x where it is above ``threshold``, else ``value``: (*) to (*).

    ``inplace=True`` writes into the input. Dtypes: float and integer types (NotImplementedError for
    others); TypeError when called with a ``threshold`` that is no number.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Threshold(0.5, -1.0)(torch.tensor([0.2, 0.5, 0.8]))
    tensor([-1.0000, -1.0000,  0.8000])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Any) -> Any:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        inplace = ", inplace=True" if self.inplace else ""
        return f"threshold={self.threshold}, value={self.value}{inplace}"


class RReLU(Module):
    """x where it is positive, else a x: (*) to (*).

    In training a is drawn per element, uniform in [lower, upper]; in evaluation it is their mean.
    Xu et al., "Empirical evaluation of rectified activations in convolutional network", 2015.
    ``inplace=True`` writes into the input; RuntimeError when called with ``lower`` above ``upper``.
    Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.RReLU(0.1, 0.3).eval()(torch.tensor([-1.0, 2.0]))
    tensor([-0.2000,  2.0000])
    """

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Any) -> Any:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        inplace = ", inplace=True" if self.inplace else ""
        return f"lower={self.lower}, upper={self.upper}{inplace}"


class GELU(Module):
    """x Φ(x), Φ being the standard normal distribution function: (*) to (*).

    ``approximate="tanh"`` computes 0.5 x (1 + tanh(sqrt(2 / π) (x + 0.044715 x³))) instead;
    anything but that and "none" is a RuntimeError when called. Hendrycks and Gimpel, "Gaussian
    error linear units (GELUs)", 2016. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.GELU()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    >>> nn.GELU("tanh")(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1588,  0.0000,  0.8412])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """log(1 + exp(beta x)) / beta, a smooth `ReLU`: (*) to (*).

    Where beta x is above ``threshold`` the result is x itself. Dtypes: float types
    (NotImplementedError for others); TypeError when called with a ``beta`` that is no number. Dugas
    et al., "Incorporating second-order functional knowledge for better option pricing", 2000.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Softplus()(torch.tensor([-1.0, 0.0, 30.0]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Any) -> Any:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element: (*) to (*), in [0, 1].

    Dtypes: all dtypes; integers and bool give the default float type. TypeError for what is no
    tensor.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Sigmoid()(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1192, 0.5000, 0.8808])
    """

    def forward(self, input: Any) -> Any:
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, element by element: (*) to (*), in [-1, 1].

    Dtypes: all dtypes; integers and bool give the default float type. TypeError for what is no
    tensor.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Tanh()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.7616,  0.0000,  0.7616])
    """

    def forward(self, input: Any) -> Any:
        return F.tanh(input)


class LogSigmoid(Module):
    """log(sigmoid(x)), element by element: (*) to (*); finite where sigmoid(x) would round to 0.

    Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.LogSigmoid()(torch.tensor([-200.0, 0.0, 2.0]))
    tensor([-2.0000e+02, -6.9315e-01, -1.2693e-01])
    """

    def forward(self, input: Any) -> Any:
        return F.logsigmoid(input)


class Softsign(Module):
    """x / (1 + |x|), element by element: (*) to (*), in [-1, 1].

    Dtypes: all dtypes but bool (NotImplementedError); integers give the default float type.
    Bergstra et al., "Quadratic polynomials learn better image features", 2009.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Softsign()(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """

    def forward(self, input: Any) -> Any:
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x), element by element: (*) to (*).

    Dtypes: all dtypes but bool (RuntimeError); integers give the default float type.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Tanhshrink()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2384,  0.0000,  0.2384])
    """

    def forward(self, input: Any) -> Any:
        return F.tanhshrink(input)


class _Along(Module):
    """An activation along one dimension."""

    _call: Any = None

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return self._call(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_Along):
    """exp(x) / sum(exp(x)) along ``dim``: (*) to (*), positive and with the sum 1.

    Give ``dim``: without it a warning says which one was taken (0 for one or three dimensions, else
    1). IndexError for a dimension out of range. For a loss use `LogSoftmax` or
    `nn.CrossEntropyLoss`. Dtypes: float types (NotImplementedError for others). Bridle,
    "Probabilistic interpretation of feedforward classification network outputs", 1990.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Softmax(dim=1)(torch.tensor([[0.0, 1.0], [2.0, 2.0]]))
    tensor([[0.2689, 0.7311],
            [0.5000, 0.5000]])
    """

    _call: Any = staticmethod(F.softmax)


class LogSoftmax(_Along):
    """log(softmax(x)) along ``dim``, without overflow: (*) to (*). ``dim`` as of `Softmax`.

    IndexError for a dimension out of range. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.LogSoftmax(dim=-1)(torch.tensor([0.0, 1000.0]))
    tensor([-1000.,     0.])
    """

    _call: Any = staticmethod(F.log_softmax)


class Softmin(_Along):
    """softmax(-x) along ``dim``: (*) to (*); small elements get the large shares.

    ``dim`` as of `Softmax`. IndexError for a dimension out of range. Dtypes: float types
    (NotImplementedError for others, RuntimeError for bool).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Softmin(dim=0)(torch.tensor([1.0, 2.0, 3.0]))
    tensor([0.6652, 0.2447, 0.0900])
    """

    _call: Any = staticmethod(F.softmin)


class Softmax2d(Module):
    """`Softmax` over the channels at each position: (N, C, H, W) to the same, or (C, H, W).

    ValueError for other numbers of dimensions. Dtypes: float types (NotImplementedError for
    others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Softmax2d()(torch.zeros(1, 4, 2, 2))[0, :, 0, 0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input: Any) -> Any:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)


class GLU(_Along):
    """a sigmoid(b), where a and b are the input's halves along ``dim``: (*, 2 n, *) to (*, n, *).

    RuntimeError if that dimension's size is odd, IndexError for a dimension out of range. Dtypes:
    float types (NotImplementedError for others). Dauphin et al., "Language modeling with gated
    convolutional networks", 2016.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.GLU()(torch.tensor([1.0, 2.0, 0.0, 100.0]))
    tensor([0.5000, 2.0000])
    """

    _call: Any = staticmethod(F.glu)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim)


class PReLU(Module):
    """x where it is positive, else weight x, with a learnable ``weight``: (*) to (*).

    ``num_parameters`` is 1, or the size of dimension 1: one weight per channel (RuntimeError if it
    is neither). They start at ``init``; do not decay them. He et al., "Delving deep into
    rectifiers", 2015. Dtypes: float types, the weight's (RuntimeError for another,
    NotImplementedError for complex ones).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.PReLU()(torch.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    >>> nn.PReLU(3)(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All weights to the initial value."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
