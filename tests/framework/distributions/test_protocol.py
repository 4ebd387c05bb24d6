"""What distributions, transforms and registries promise to those who derive from them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from typing import ClassVar

import numpy as np
import pytest

import framework as torch
from framework import distributions as D
from framework.distributions import constraints


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-6, 1e-6)


def test_loaded_only_when_used() -> None:
    code = (
        "import sys, framework; assert 'framework.distributions' not in sys.modules; "
        "framework.distributions.Normal(0.0, 1.0); assert 'framework.distributions' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_validation_can_be_turned_off() -> None:
    with pytest.raises(ValueError, match="to satisfy the constraint GreaterThan"):
        D.Normal(0.0, -1.0)
    assert D.Normal(0.0, -1.0, validate_args=False).scale == -1
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Normal(0.0, -1.0).scale == -1
    finally:
        D.Distribution.set_default_validate_args(True)


def test_expand_keeps_the_type_and_asks_for_expand_of_a_new_constructor() -> None:
    class Plain(D.Normal):
        pass

    class Own(D.Normal):
        def __init__(self) -> None:
            super().__init__(0.0, 1.0)

    wide = Plain(torch.zeros(2), 1.0, validate_args=False).expand((3, 2))
    assert type(wide) is Plain and wide.batch_shape == (3, 2) and not wide._validate_args
    with pytest.raises(NotImplementedError, match="must also define a custom"):
        Own().expand((2,))


def test_expand_keeps_the_parameter_that_was_given() -> None:
    for make in (D.Bernoulli, D.Categorical, D.OneHotCategorical):
        d = make(logits=torch.tensor([0.5, -1.0]))
        assert d.probs.shape == (2,)  # computed and kept
        wide = d.expand((3, *d.batch_shape))
        assert "probs" not in wide.__dict__
        same(wide.logits[0], d.logits)


def test_a_derived_class_expands_through_its_family() -> None:
    class Tagged(D.Bernoulli):
        arg_constraints: ClassVar = {**D.Bernoulli.arg_constraints, "tag": constraints.real}

        def __init__(self, logits, tag):
            self.tag = tag
            super().__init__(logits=logits)

        def expand(self, batch_shape, _instance=None):
            new = self._get_checked_instance(Tagged, _instance)
            new.tag = self.tag.expand(batch_shape)
            return super().expand(batch_shape, _instance=new)

    wide = Tagged(torch.zeros(2), torch.ones(2)).expand((3, 2))
    assert type(wide) is Tagged and wide.tag.shape == wide.logits.shape == (3, 2)


def test_a_distribution_of_ones_own() -> None:
    class Shifted(D.Distribution):
        arg_constraints: ClassVar = {"loc": constraints.real}
        has_rsample = True

        def __init__(self, loc, validate_args=None):
            self.loc = loc
            super().__init__(loc.shape, validate_args=validate_args)

        def rsample(self, sample_shape=()):
            return self.loc + torch.rand(self._extended_shape(sample_shape))

        def log_prob(self, value):
            self._validate_sample(value)
            return torch.zeros_like(value)

    d = Shifted(torch.zeros(2))
    assert d.sample((3,)).shape == (3, 2)
    with pytest.warns(UserWarning, match="does not define `support`"):
        d.log_prob(torch.zeros(2))
    with pytest.raises(NotImplementedError):
        d.expand((3, 2))


def test_nearest_divergence_and_ambiguity() -> None:
    class A(D.Distribution):
        arg_constraints: ClassVar = {}

    class B(A):
        pass

    D.register_kl(A, B)(lambda p, q: torch.tensor(1.0))
    D.register_kl(B, A)(lambda p, q: torch.tensor(2.0))
    assert D.kl_divergence(A(), B()) == 1
    with pytest.warns(RuntimeWarning, match=r"Ambiguous kl_divergence\(B, B\)"):
        assert D.kl_divergence(B(), B()) == 2
    D.register_kl(B, B)(lambda p, q: torch.tensor(3.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert D.kl_divergence(B(), B()) == 3


def test_divergence_of_derived_families() -> None:
    class Mine(D.Normal):
        pass

    result = D.kl_divergence(Mine(0.0, 1.0), D.Normal(1.0, 1.0))
    same(result, torch.tensor(0.5))


def test_cached_transforms_return_the_very_tensor() -> None:
    t = D.TanhTransform(cache_size=1)
    x = torch.tensor([20.0])
    assert t.inv(t(x)) is x  # without a cache: infinite
    assert D.TanhTransform().inv(D.TanhTransform()(x)).isinf().all()
    chain = D.ComposeTransform([D.ExpTransform(), D.AffineTransform(0.0, 2.0)]).with_cache()
    assert chain.inv(chain(x)) is x
    copied = pickle.loads(pickle.dumps(t))
    assert copied == t and copied._inv is None


def test_distributions_can_be_copied() -> None:
    d = D.MultivariateNormal(torch.zeros(2), torch.eye(2))
    again = copy.deepcopy(d)
    x = torch.ones(2)
    same(again.log_prob(x), d.log_prob(x))


@pytest.mark.parametrize("registry", [D.biject_to, D.transform_to])
@pytest.mark.parametrize(
    "constraint, shape",
    [
        (constraints.real, (4,)),
        (constraints.positive, (4,)),
        (constraints.less_than(2.0), (4,)),
        (constraints.interval(-1.0, 3.0), (4,)),
        (constraints.unit_interval, (4,)),
        (constraints.simplex, (2, 4)),
        (constraints.corr_cholesky, (2, 6)),
        (constraints.independent(constraints.positive, 1), (2, 4)),
        (constraints.stack([constraints.positive, constraints.unit_interval], 0), (2, 4)),
        (constraints.cat([constraints.positive, constraints.real], 0, [1, 2]), (3, 4)),
    ],
)
def test_registries_reach_the_constraint(registry, constraint, shape) -> None:
    torch.manual_seed(0)
    t, x = registry(constraint), torch.randn(shape, dtype=torch.float64)
    y = t(x)
    assert constraint.check(y).all()
    same(t(t.inv(y)), y)
    if registry is D.biject_to:
        same(t.inv(y), x)
        assert t.bijective


@pytest.mark.parametrize("constraint", [constraints.lower_cholesky, constraints.positive_definite])
def test_matrices_reach_the_constraint(constraint) -> None:
    t, x = D.transform_to(constraint), torch.randn(3, 2, 2, dtype=torch.float64)
    assert constraint.check(t(x)).all()
    same(t(t.inv(t(x))), t(x))


JACOBIANS = [
    (D.ExpTransform(), (3,)),
    (D.SigmoidTransform(), (3,)),
    (D.SoftplusTransform(), (3,)),
    (D.TanhTransform(), (3,)),
    (D.AffineTransform(0.5, -2.0), (3,)),
    (D.ComposeTransform([D.TanhTransform(), D.AffineTransform(1.0, 2.0)]), (3,)),
    (D.CumulativeDistributionTransform(D.Normal(0.0, 2.0)), (3,)),
]


@pytest.mark.parametrize("t, shape", JACOBIANS)
def test_jacobians_of_numbers(t, shape) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    y = t(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    same(t.log_abs_det_jacobian(x, y), slope.abs().log())


@pytest.mark.parametrize(
    "t, n, kept",
    [
        (D.StickBreakingTransform(), 3, lambda y: y[:-1]),
        (D.CorrCholeskyTransform(), 3, lambda y: torch.stack([y[1, 0], y[2, 0], y[2, 1]])),
    ],
)
def test_jacobians_of_vectors(t, n, kept) -> None:
    """Of the elements that the others follow from."""
    torch.manual_seed(0)
    x = torch.randn(n, dtype=torch.float64)
    matrix = torch.autograd.functional.jacobian(lambda x: kept(t(x)), x)
    same(t.log_abs_det_jacobian(x, t(x)), torch.linalg.slogdet(matrix)[1])


def test_triangles_to_vectors_and_back() -> None:
    from framework.distributions.utils import tril_matrix_to_vec, vec_to_tril_matrix

    full = torch.arange(16.0).view(4, 4) + 1
    for diag in (-2, -1, 0, 1):
        vec = tril_matrix_to_vec(full, diag)
        assert torch.equal(vec_to_tril_matrix(vec, diag), full.tril(diag))
    with pytest.raises(ValueError, match="cannot be expressed"):
        vec_to_tril_matrix(torch.ones(4))
    with pytest.raises(ValueError, match="is outside"):
        tril_matrix_to_vec(full, 4)


def test_many_samples_of_a_large_batch_of_normals_broadcast() -> None:
    loc, factor = torch.zeros(5, 1, 3), torch.eye(3).expand(4, 3, 3)
    d = D.MultivariateNormal(loc, scale_tril=factor)
    assert d.batch_shape == (5, 4) and d.log_prob(torch.zeros(2, 5, 4, 3)).shape == (2, 5, 4)
    assert d.log_prob(torch.zeros(3)).shape == (5, 4)
    assert d.rsample((2,)).shape == (2, 5, 4, 3) and d.entropy().shape == (5, 4)
