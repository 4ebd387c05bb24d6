"""Runs an ordinary PyTorch model file on our framework: only its import lines are changed."""

from __future__ import annotations

import re
import types
from pathlib import Path

__all__ = ["FOLDER", "MODELS", "load"]

FOLDER = Path(__file__).parent
MODELS = (
    "gpt", "resnet", "vae", "dcgan", "lstm_lm", "gcn", "actor_critic", "transformer_xl", "speech",
    "maml",
)  # fmt: skip

# ``import torch``, ``import torch.nn as nn``, ``from torch.nn import functional as F``
_IMPORT = re.compile(r"^(import|from) torch\b(?P<rest>.*)$", re.MULTILINE)


def _ours(match: re.Match[str]) -> str:
    keyword, rest = match[1], match["rest"]
    if keyword == "import" and not rest:
        return "import framework as torch"
    if keyword == "import" and " as " not in rest:  # ``import torch.utils.data`` binds ``torch``
        return f"import framework{rest}; import framework as torch"
    return f"{keyword} framework{rest}"


def load(name: str, framework: bool = True) -> types.ModuleType:
    """The model file as a module, on our framework or as it stands."""
    path = FOLDER / f"{name}.py"
    source = path.read_text()
    if framework:
        source = _IMPORT.sub(_ours, source)
    module = types.ModuleType(f"models_{name}")
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module
