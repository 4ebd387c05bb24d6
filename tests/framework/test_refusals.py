"""What functions refuse: PyTorch's kind of error, and its words where they are of use."""

from __future__ import annotations

import pytest

import framework as torch


def matrices(*shape: int) -> torch.Tensor:
    return torch.ones(*shape) + torch.eye(shape[-2], shape[-1])


# -- shapes that do not broadcast ----------------------------------------------------------------


@pytest.mark.parametrize("shapes", [((2,), (3,)), ((2, 3), (3, 3)), ((4, 2), (3,))])
def test_inner_products(shapes) -> None:
    x, y = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(RuntimeError, match=r"size of tensor a \(\d\) must match"):
        torch.linalg.vecdot(x, y)


def test_vector_products() -> None:
    for cross in (torch.cross, torch.linalg.cross):
        with pytest.raises(RuntimeError, match=r"size of tensor a \(2\) must match"):
            cross(torch.zeros(2, 3), torch.zeros(4, 3), dim=1)


@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated")
def test_batches_of_equations() -> None:
    words = r"The size of tensor a \(2\) must match the size of tensor b \(3\)"
    with pytest.raises(RuntimeError, match=words):
        torch.linalg.lstsq(matrices(2, 3, 3), matrices(3, 3, 1))
    with pytest.raises(RuntimeError, match=words):
        torch.triangular_solve(matrices(2, 3, 1), matrices(3, 3, 3))


# -- arguments of another type -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated")
def test_narrow_floats_in_linear_algebra() -> None:
    half = torch.eye(2).half()
    pivots = torch.tensor([1, 2], dtype=torch.int32)
    for call, kernel in (
        (lambda: torch.triangular_solve(half, half), "triangular_solve_cpu"),
        (lambda: torch.linalg.ldl_solve(half, pivots, half), "ldl_solve_kernel_cpu"),
        (lambda: torch.svd_lowrank(half, 2), "geqrf_cpu"),
    ):
        with pytest.raises(NotImplementedError, match=f"\"{kernel}\" not implemented for 'Half'"):
            call()


def test_initial_values_of_integers() -> None:
    whole = torch.ones(2, 2, dtype=torch.int64)
    for fill in (
        lambda: torch.nn.init.trunc_normal_(whole),
        lambda: torch.nn.init.orthogonal_(whole),
        lambda: torch.nn.init.sparse_(whole, 0.5),
    ):
        with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
            fill()


@pytest.mark.parametrize("name", ["is_conj", "is_neg", "resolve_conj", "resolve_neg"])
def test_questions_about_what_is_no_tensor(name) -> None:
    with pytest.raises(TypeError, match=r"argument 'input' \(position 1\) must be Tensor, not int"):
        getattr(torch, name)(3)


def test_rms_norm_of_integers() -> None:
    with pytest.raises(NotImplementedError, match="\"rms_norm\" not implemented for 'Long'"):
        torch.rms_norm(torch.ones(2, 2, dtype=torch.int64), (2,))


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.block_diag(torch.ones(2), 1),
        lambda: torch.randperm(2.5),
        lambda: torch.ones(4).split([2.5, 1.5]),
        lambda: torch.ones(4).reshape(2.0, 2),
        lambda: torch.ones(4).permute(0.0),
        lambda: torch.ones(4).repeat(2.5),
        lambda: torch.fft.fft(torch.ones(4), n=2.5),
        lambda: torch.fft.fftn(torch.ones(4), s=(2.5,)),
        lambda: torch.fft.fftn(torch.ones(4), dim=(0.0,)),
        lambda: torch.linalg.vector_norm(torch.ones(2), "x"),
        lambda: torch.promote_types(torch.float32, 2),
        lambda: torch.can_cast(2, torch.float32),
        lambda: torch.finfo(3),
        lambda: torch.iinfo(3),
    ],
)
def test_other_types_are_type_errors(call) -> None:
    with pytest.raises(TypeError):
        call()


def test_numbers_of_tensors_and_numpy_are_sizes_still() -> None:
    import numpy as np

    assert torch.ones(4).reshape(np.int64(2), torch.tensor(2)).shape == (2, 2)
    assert torch.fft.fft(torch.ones(4), n=np.int32(2)).shape == (2,)


# -- others --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.get_autocast_dtype("gpu"),
        lambda: torch.is_autocast_enabled("gpu"),
        lambda: torch.set_autocast_enabled("gpu", True),
        lambda: torch.set_autocast_dtype("gpu", torch.float16),
    ],
)
def test_a_kind_of_device_that_autocast_does_not_know(call) -> None:
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda device type"):
        call()


def test_a_vector_has_no_components() -> None:
    for low in (torch.svd_lowrank, torch.pca_lowrank):
        with pytest.raises(ValueError, match="expected matrices"):
            low(torch.ones(2))


def test_vectors_have_no_matrix_transpose() -> None:
    with pytest.raises(RuntimeError, match=r"tensor\.mT is only supported on matrices"):
        _ = torch.ones(3).mT


def test_integers_have_no_gradient() -> None:
    for call in (
        lambda: torch.tensor([1], requires_grad=True),
        lambda: torch.ones(1, dtype=torch.int64, requires_grad=True),
        lambda: torch.tensor([True]).requires_grad_(),
    ):
        with pytest.raises(RuntimeError, match="of floating point and complex dtype can require"):
            call()
