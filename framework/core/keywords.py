"""The names by which PyTorch takes arguments where our functions have others.

Its documentation often has one name and its parser another (``torch.linalg.norm(A)`` takes
``input=``), or two for one argument. Methods and our own calls give them by position.
"""

from __future__ import annotations

__all__ = ["ALSO", "RENAMED", "WHOLE"]

_A = """
    cholesky cholesky_ex cond eig eigh eigvals eigvalsh householder_product ldl_factor ldl_factor_ex
    matrix_norm matrix_rank norm pinv solve_triangular tensorinv
"""
_X = (
    "airy_ai", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0",
    *[f"{kind}_polynomial_{letter}" for kind, letters in (
        ("chebyshev", "tuvw"), ("shifted_chebyshev", "tuvw"), ("hermite", ("h", "he")),
        ("laguerre", "l"), ("legendre", "p"),
    ) for letter in letters],
)  # fmt: skip

# Public function -> our parameter -> its name in public.
RENAMED: dict[str, dict[str, str]] = {
    **{f"linalg.{name}": {"A": "input"} for name in _A.split()},
    **{f"special.{name}": {"input": "x"} for name in _X},
    "linalg.lstsq": {"A": "input", "B": "b"}, "linalg.vector_norm": {"x": "input"},
    "linalg.tensorsolve": {"A": "input", "B": "other"},
    "matrix_exp": {"A": "input"}, "matrix_power": {"A": "input"},
    "cholesky_inverse": {"L": "input"}, "cholesky_solve": {"B": "input", "L": "input2"},
    "lu_solve": {"b": "input"}, "triangular_solve": {"b": "input"},
    "ormqr": {"tau": "input2", "other": "input3"}, "spmm": {"mat1": "input"},
    "split_copy": {"tensor": "input"}, "unfold_copy": {"self": "input"},
    "nn.functional.one_hot": {"tensor": "input"},
}  # fmt: skip

_SELF = """
    pow remainder bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift
    float_power where xlogy bucketize searchsorted special.xlog1py special.zeta
"""

# Public function -> further name -> our parameter.
ALSO: dict[str, dict[str, str]] = {
    **{name: {"self": "input"} for name in _SELF.split()},
    "det": {"input": "A"},
    "isin": {"element": "elements", "test_element": "test_elements"},
    **{f"{kind}dropout": {"train": "training"} for kind in ("", "alpha_", "feature_alpha_")},
}  # fmt: skip

# Public functions of a sequence, whose methods take it one by one, too -> the parameter that it is;
# "" where a parameter has it already, or one number.
WHOLE: dict[str, str] = {
    "reshape": "shape", "permute": "dims", "tile": "dims", "flip": "dims", "broadcast_to": "size",
    **dict.fromkeys("squeeze squeeze_copy count_nonzero hsplit vsplit dsplit".split(), ""),
}  # fmt: skip
