"""Types of results with names, such as ``torch.return_types.max``: (values, indices).

>>> import framework as torch
>>> isinstance(torch.tensor([1, 2]).sort(), torch.return_types.sort)
True
"""

from __future__ import annotations

from framework.ops.dims import named

# Fields: functions whose results have them.
_FIELDS = {
    "values indices": "cummax cummin kthvalue max median min mode nanmedian sort topk",
    "min max": "aminmax",
    "mantissa exponent": "frexp",
    "hist bin_edges": "histogram histogramdd",
    "Q R": "qr linalg_qr",
    "a tau": "geqrf",
    "U S V": "svd",
    "U S Vh": "linalg_svd",
    "P L U": "lu_unpack linalg_lu",
    "LU pivots": "linalg_lu_factor",
    "LU pivots info": "linalg_lu_factor_ex",
    "LD pivots": "linalg_ldl_factor",
    "LD pivots info": "linalg_ldl_factor_ex",
    "L info": "linalg_cholesky_ex",
    "inverse info": "linalg_inv_ex",
    "result info": "linalg_solve_ex",
    "eigenvalues eigenvectors": "linalg_eig linalg_eigh",
    "sign logabsdet": "linalg_slogdet slogdet",
    "solution residuals rank singular_values": "linalg_lstsq",
    "solution cloned_coefficient": "triangular_solve",
}

for _fields, _names in _FIELDS.items():
    _parts = _fields.split()
    for _name in _names.split():
        _type = named(_name, *_parts)
        _type.__doc__ = (
            f"What `{_name.replace('linalg_', 'linalg.')}` returns, a tuple with names: "
            f"({', '.join(_parts)}).\n\n"
            f">>> import framework as torch\n"
            f">>> result = torch.return_types.{_name}({tuple(range(len(_parts)))})\n"
            f">>> result.{_parts[-1]}, result[0]\n({len(_parts) - 1}, 0)\n"
        )
        globals()[_name] = _type

__all__ = sorted(name for names in _FIELDS.values() for name in names.split())
