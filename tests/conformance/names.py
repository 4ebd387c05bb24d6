"""Which public names of PyTorch there are here, namespace by namespace, and why others are not."""

from __future__ import annotations

import importlib
import re
import types
from typing import Any

import torch

import framework

__all__ = ["ABSENT", "NAMESPACES", "main", "missing"]

NAMESPACES = (
    "", "linalg", "fft", "special", "signal.windows", "nn", "nn.functional", "nn.init", "nn.utils",
    "nn.utils.rnn", "nn.utils.parametrize", "nn.utils.parametrizations", "nn.utils.prune",
    "nn.utils.stateless", "optim", "optim.lr_scheduler", "optim.swa_utils", "utils.data",
    "utils.checkpoint", "utils.dlpack", "utils.tensorboard", "autograd", "autograd.functional",
    "autograd.forward_ad", "autograd.graph", "func", "amp", "distributions",
    "distributions.transforms", "distributions.constraints", "sparse", "masked", "profiler",
    "overrides", "random", "testing", "Tensor",
)  # fmt: skip

# Names that are left out, as patterns over "namespace.name", and why. The first that fits counts.
ABSENT: dict[str, str] = {
    r"(.*\.)?(q(u?int|scheme|_).*|.*[Qq]uant.*|int_repr|fbgemm.*|fused_moving.*|choose_qparams.*"
    r"|quint.*|QUInt.*|per_(channel|tensor).*)": "quantisation",
    r"(.*\.)?(bits.*|u?int[1-7]|bit|float[48]_.*|complex32|chalf|Float8.*|scaled_.*mm"
    r"|grouped_mm|ScalingType|SwizzleType)": "a type that NumPy has not",
    r"(.*\.)?(cudnn_.*|miopen_.*|mkldnn_.*|to_mkldnn|batch_norm_(backward|elemt|gather|stats|update).*"
    r"|_?thnn.*)": "an internal of one backend",
    r"(.*\.)?(.*_copy)": "a copying form for compilers",
    r"(.*\.)?(sym_.*|Sym.*|cond|while_loop|export|compile.*guard.*)": "symbolic shapes",
    r"(.*\.)?(sparse_(csr|csc|bsr|bsc|compressed).*|to_sparse_(csr|csc|bsr|bsc)|c?col_indices.*"
    r"|c?row_indices.*|is_sparse_csr|sspaddmm|saddmm|smm|hspmm|hsmm|dsmm|SparseSemi.*"
    r"|to_sparse_semi.*|spsolve|sampled_addmm|.*semi_structured.*|as_sparse_gradcheck"
    r"|check_sparse_tensor.*|sparse_mask_helper|resize_as_sparse_|sparse_resize.*)":
        "compressed sparse formats: coordinates (COO) only",
    r"(.*\.)?(autocast_(de|in)crement.*|.*autocast_(ipu|xla).*|is_vulkan.*|.*_ipu|.*_xla|mtia|ipu"
    r"|xpu|is_maia|hpu)": "hardware that is not ours",
    r"(.*\.)?(Masked?Tensor|is_masked_tensor|as_masked_tensor|masked_tensor)": "a prototype class",
    r"(A(VG|cceleratorError|ggregationType|liasDb|rgument.*)|\w+Type|Benchmark\w*|Block|BufferDict"
    r"|CallStack|Capsule|Code|Co(mpilationUnit|mpleteArgumentSpec|ncreteModule.*)|DeepCopyMemoTable"
    r"|(Des|S)erializationStorageContext|DispatchKey\w*|ErrorReport|ExcludeDispatchKeyGuard"
    r"|ExecutionPlan|FatalError|(testing\.)?FileCheck|FunctionSchema|Future|Gradient"
    r"|Graph(ExecutorState)?|IODescriptor|JITException|LiteScriptModule|\w+Logger|LoggingLogger"
    r"|LockingLogger|ModuleDict|Node|OperatorInfo|ParameterDict|PyTorchFile\w+|SUM|Script\w+"
    r"|StaticModule|Tag|ThroughputBenchmark|TracingState|Type|Use|Value|fork|wait|import_ir.*"
    r"|init_num_threads|merge_type_from.*|parse_\w+|unify_type_list|native_norm|slice_inverse"
    r"|Tensor\.slice_inverse|(random\.)?thread_safe_generator|Tensor\.to_padded_tensor"
    r"|(Tensor\.)?is_distributed|Tensor\.grad_dtype)": "an internal of TorchScript or the binding",
    r"nn\.functional\.(Broadcasting.*|Callable|DType|GRID.*|Optional|TYPE_CHECKING|Tensor|assert_.*"
    r"|boolean_dispatch|handle_torch_function|has_torch_function.*|.*_notes)"
    r"|fft\.Tensor|linalg\.common_notes|nn\.factory_kwargs|autograd\.variable"
    r"|profiler\.DeviceType": "no API: what the module imports for itself",
    r"utils\.data\.(\w*DataPipe|DataChunk|argument_.*|functional_datapipe|guaranteed_.*"
    r"|non_determin.*|runtime_.*)": "data pipes, which PyTorch gave up",
    r"utils\.checkpoint\.(GraphExecGroup|SAC_IGNORED_OPS)|autograd\.(NestedIOFunction|enforce_.*)"
    r"|autograd\.graph\.(region_.*|set_.*)|func\.(debug_unwrap|rearrange)|overrides\.redispatch.*"
    r"|optim\.swap_in_.*|profiler\.ExecutionTraceObserver": "an internal of PyTorch's own compiler",
    r"nn\.Container|Tensor\.(resize|resize_as|index)": "long deprecated",
    r"(.*\.)?(volatile|reinforce|eig|lstsq|solve|symeig|matrix_rank|lu|stack_deprecated"
    r"|generate_methods_for_privateuse1_backend|module_load|.*privateuse.*)": "removed by PyTorch",
}  # fmt: skip


def missing(namespace: str) -> tuple[list[str], list[str]]:
    """The public names of one of PyTorch's namespaces, and those that we lack."""
    theirs, mine = _find("torch", namespace), _find("framework", namespace)
    names = sorted(n for n in getattr(theirs, "__all__", None) or dir(theirs) if n[0] != "_")
    names = [n for n in names if not isinstance(getattr(theirs, n, None), types.ModuleType)]
    return names, [n for n in names if not hasattr(mine, n)]


def _find(root: str, path: str) -> Any:
    if path == "Tensor":
        return (torch if root == "torch" else framework).Tensor
    try:
        return importlib.import_module(f"{root}.{path}" if path else root)
    except ImportError:
        return object()


def reason(namespace: str, name: str) -> str:
    """Why a name is left out; empty if nobody said."""
    whole = f"{namespace}.{name}".lstrip(".")
    for pattern, why in ABSENT.items():
        if re.fullmatch(pattern, whole):
            return why
    return ""


def main(options: Any) -> int:
    """Count the names; print those that are absent without a reason."""
    total = present = excused = 0
    unexplained = []
    for namespace in NAMESPACES:
        names, absent = missing(namespace)
        total += len(names)
        present += len(names) - len(absent)
        for name in absent:
            if reason(namespace, name):
                excused += 1
            else:
                unexplained.append(f"{namespace}.{name}".lstrip("."))
    for name in unexplained:
        print(f"names, {name} is absent")
    print(
        f"names: {present} of {total} public names present in {len(NAMESPACES)} namespaces, "
        f"{excused} left out with a reason, {len(unexplained)} absent"
    )
    return 1 if unexplained else 0
