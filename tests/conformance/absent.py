"""Why names and modules of PyTorch are not here, as data: patterns over whole names.

A pattern has to fit the whole of "namespace.name" ("Tensor.dsmm"; "unfold" for the root's own). Of
both tables the first pattern that fits counts. Patterns are exact where a documented name would
otherwise be excused with a removed one (``Tensor.lstsq``, but not ``linalg.lstsq``).
"""

from __future__ import annotations

__all__ = ["MODULES", "NAMES"]

# Modules that are left out as a whole, with all that is below them; and what of their names is
# missing where the module itself is there.
MODULES: dict[str, str] = {
    r"(ao|quantization|nn\.(quantized|qat|quantizable|intrinsic)|backends\.(xnnpack|quantized)"
    r"|jit\.quantized)(\..*)?": "quantisation",
    r"fx(\..*)?": "fx: graph capture of PyTorch's compiler; programs run as they are written here",
    r"(export|nativert)(\..*)?": "export: programs as graphs for other runtimes, made by fx",
    r"onnx(\..*)?": "inside of PyTorch's exporters to ONNX; onnx.export is here, made otherwise",
    r"package(\..*)?": "package: archives with the source of a model, which loading would run; "
    r"state dicts are saved and loaded",
    r"distributed(\..*)?|nn\.parallel\.distributed\..*": "several processes and machines: a world "
    r"of one process only",
    r"(xpu|mps|mtia)(\..*)?|backends\.mps\..*": "hardware that is not ours",
    r"cuda\.(gds|green_contexts|jiterator|nccl|sparse|tunable|_.*)(\..*)?":
        "a part of NVIDIA's libraries that CuPy is not asked for",
    r"(cuda|nn\.parallel)\.comm(\..*)?": "copies between several GPUs in one process",
    r"backends\.(xeon|python_native)(\..*)?|backends\.cudnn\.rnn(\..*)?|numa(\..*)?":
        "tuning of PyTorch's own binaries",
    r"masked\.maskedtensor(\..*)?": "a prototype class",
    r"utils\.data\.(datapipes|graph|graph_settings)(\..*)?": "data pipes, which PyTorch gave up",
    r"utils\.benchmark\.(examples|op_fuzzers|utils)(\..*)?": "how PyTorch's developers measure its "
    r"ops; Timer, Measurement and Compare are in utils.benchmark",
    r"utils\.(hipify|jit|serialization|viz|backcompat|backend_registration|cpp_backtrace|debug_log"
    r"|file_baton|mkldnn|model_dump|show_pickle|throughput_benchmark)(\..*)?|contrib(\..*)?"
    r"|monitor(\..*)?|nn\.(backends|cpp)(\..*)?": "a tool of PyTorch's own build or binding",
    r"utils\.(bundled_inputs|mobile_optimizer)(\..*)?"
    r"|jit\.(annotations|frontend|generate_bytecode|mobile|supported_ops|unsupported_tensor_ops)"
    r"(\..*)?": "TorchScript: there is none, scripting returns what it was given",
    r"profiler\.(itt|python_tracer)(\..*)?|autograd\.profiler_legacy(\..*)?":
        "profilers of other makers, or replaced by `profiler` in PyTorch",
    r"compiler\.config(\..*)?|compiler\..*": "PyTorch's own compiler; programs run as written here",
    r"multiprocessing\.(pool|queue|reductions|spawn)(\..*)?": "tensors in memory that processes "
    r"share",
    r"nn\.attention\.(experimental|varlen)(\..*)?": "a prototype kernel of CUDA",
    r"accelerator\.graphs(\..*)?|accelerator\.Graph": "a prototype; cuda.graphs is there",
    r"sparse\.semi_structured(\..*)?": "compressed sparse formats: coordinates (COO) only",
    r"(autograd\.profiler_util|profiler\.profiler)(\..*)?": "a path inside of PyTorch's profiler; "
    r"`profiler` has the public names",
}  # fmt: skip

# Names that are left out of modules that are there.
NAMES: dict[str, str] = {
    r"return_types\.(\w+_out|all_return_types|pytree_register_structseq)": "classes of what out= "
    r"returns: the ordinary classes here",
    r"utils\.collect_env\.\w+": "a helper inside of PyTorch's report about a machine; "
    r"get_env_info and get_pretty_env_info are here",
    r"utils\.cpp_extension\.\w+": "extensions in C++, which are not compiled here",
    r"library\.\w+": "a part of PyTorch's dispatcher; Library, custom_op and register_* that take "
    r"Python functions are here",
    r"serialization\.\w+": "a helper inside of PyTorch's torch.save and torch.load",
    r"autograd\.profiler\.(EnforceUnique|EventList|KinetoStepTracker|MemRecordsAcc|emit_itt"
    r"|load_nvprof|parse_nvprof_trace)": "an internal of PyTorch's profiler",
    r"autograd\.(gradcheck\.get_\w+|function\.\w+|variable\.VariableMeta|grad_mode\.enforce_\w+)":
        "an internal of PyTorch's autograd, or deprecated by it",
    r"nn\.attention\.(WARN_FOR_UNFUSED_KERNELS|\w+_flash_attention_impls?)": "flash kernels of "
    r"CUDA; one kernel computes all attention here",
    r"nn\.utils\.spectral_norm\.SpectralNorm\w+Hook|utils\.hooks\.\w+"
    r"|nn\.parallel\.parallel_apply\.get_a_var": "a helper inside of PyTorch's modules",
    r"utils\.data\.backward_compatibility\.worker_init_fn": "data pipes, which PyTorch gave up",
    r"backends\.cuda\.cu(BLAS|FFT)\w+": "classes of PyTorch's switches; the switches are here",
    r"jit\.((ONNX|TopLevel)?TracedModule|RecursiveScript\w+|\w+_flatbuffer|run_frozen_optimizations"
    r"|last_executed_optimized_graph)": "TorchScript: there is none, scripting returns what it was "
    r"given",
    r"LoggerBase|StorageBase|compiled_with_cxx11_abi|get_file_path|(cuda\.)?classproperty"
    r"|prepare_multiprocessing_environment|profiler\.is_fbcode"
    r"|profiler_allow_cudagraph_cupti_lazy_reinit_cuda12": "a tool of PyTorch's own build or "
    r"binding",
    r"autograd\.Profiler(Config|Event|State)|profiler\.RecordScope": "an internal of PyTorch's "
    r"profiler",
    r"autograd\.is_view_replay_enabled|autograd\.graph\.TorchDispatchMode": "an internal of "
    r"PyTorch's autograd",
    r"nn\.utils\.rnn\.PackedSequence_|utils\.flop_counter\.sdpa_\w+": "a helper inside of "
    r"PyTorch's modules",
    r"hub\.tqdm": "the package tqdm, or what stands for it",
    r"nn\.parallel\.DistributedDataParallelCPU": "removed by PyTorch",
    r"nn\.modules\.(container\.)?Container": "long deprecated",
    r"cuda\.\w+Storage": "typed storages of CUDA, deprecated by PyTorch; untyped_storage() is here",
    r"cuda\.(memory\.)?caching_allocator_\w+": "CuPy's memory pool is always on",
    r"cuda\.(GreenContext|current_(blas|solver)_handle|cudart|cudaStatus|check_error|change_current_allocator"
    r"|(memory\.)?(CUDAPluggableAllocator|MemPool|use_mem_pool|change_current_allocator))"
    r"|backends\.cusparselt\.get_max_alg_id":
        "a part of NVIDIA's libraries that CuPy is not asked for",
    r"(.*\.)?(q(u?int|scheme|_).*|.*[Qq]uant.*|int_repr|fbgemm.*|fused_moving.*|choose_qparams.*"
    r"|quint.*|QU?Int.*|per_(channel|tensor).*)": "quantisation",
    r"(.*\.)?(bits.*|u?int[1-7]|bit|float[48]_.*|complex32|chalf|Float8.*|scaled_.*mm"
    r"|grouped_mm|ScalingType|SwizzleType)": "a type that NumPy has not",
    r"(.*\.)?(cudnn_.*|miopen_.*|mkldnn_.*|to_mkldnn|batch_norm_(backward|elemt|gather|stats|update).*"
    r"|_?thnn.*)": "an internal of one backend",
    r"(.*\.)?(.*_copy)": "a copying form for compilers",
    r"(.*\.)?(sym_\w*|Sym(Int|Float|Bool)\w*)": "symbolic shapes",
    r"(.*\.)?(sparse_(csr|csc|bsr|bsc|compressed).*|to_sparse_(csr|csc|bsr|bsc)|c?col_indices.*"
    r"|c?row_indices.*|is_sparse_csr|sspaddmm|saddmm|smm|hspmm|hsmm|dsmm|SparseSemi.*"
    r"|to_sparse_semi.*|spsolve|sampled_addmm|.*semi_structured.*|as_sparse_gradcheck"
    r"|check_sparse_tensor.*|sparse_mask_helper|resize_as_sparse_|sparse_resize.*)":
        "compressed sparse formats: coordinates (COO) only",
    r"autocast_(de|in)crement_nesting": "an internal of PyTorch's autocast",
    r"(.*\.)?(.*autocast_(ipu|xla).*|is_vulkan.*|.*_ipu|.*_xla|mtia|ipu"
    r"|xpu|is_maia|hpu)": "hardware that is not ours",
    r"(.*\.)?(Masked?Tensor|is_masked_tensor|as_masked_tensor|masked_tensor)": "a prototype class",
    r"(A(VG|ggregationType|liasDb|rgument.*)|\w+Type|Benchmark\w*|Block|BufferDict"
    r"|CallStack|Capsule|Code|Co(mpilationUnit|mpleteArgumentSpec|ncreteModule.*)|DeepCopyMemoTable"
    r"|(Des|S)erializationStorageContext|DispatchKey\w*|ErrorReport|ExcludeDispatchKeyGuard"
    r"|ExecutionPlan|FatalError|(testing\.)?FileCheck|FunctionSchema|Future|Gradient"
    r"|Graph(ExecutorState)?|IODescriptor|JITException|LiteScriptModule|\w+Logger|LoggingLogger"
    r"|LockingLogger|ModuleDict|Node|OperatorInfo|ParameterDict|PyTorchFile\w+|SUM|Script\w+"
    r"|StaticModule|Tag|ThroughputBenchmark|TracingState|Type|Use|Value|fork|wait|import_ir.*"
    r"|init_num_threads|merge_type_from.*|parse_\w+|unify_type_list|native_norm|slice_inverse"
    r"|Tensor\.slice_inverse|(random\.)?thread_safe_generator|Tensor\.to_padded_tensor"
    r"|(Tensor\.)?is_distributed)": "an internal of TorchScript or the binding",
    r"nn\.functional\.(Broadcasting.*|Callable|DType|GRID.*|Optional|TYPE_CHECKING|Tensor|assert_.*"
    r"|boolean_dispatch|handle_torch_function|has_torch_function.*|.*_notes)"
    r"|fft\.Tensor|linalg\.common_notes|nn\.factory_kwargs|autograd\.variable"
    r"|profiler\.DeviceType": "no API: what the module imports for itself",
    r"utils\.data\.(\w*DataPipe|DataChunk|argument_.*|functional_datapipe|guaranteed_.*"
    r"|non_determin.*|runtime_.*)": "data pipes, which PyTorch gave up",
    r"autograd\.graph\.set_\w+": "streams and graphs of CUDA inside of PyTorch's autograd",
    r"autograd\.(NestedIOFunction|enforce_\w+)": "an internal of PyTorch's autograd, or deprecated "
    r"by it",
    r"Tensor\.index": "first-class dimensions, a prototype",
    r"utils\.checkpoint\.(GraphExecGroup|SAC_IGNORED_OPS)"
    r"|autograd\.graph\.region_.*|func\.debug_unwrap"
    r"|optim\.swap_in_.*|profiler\.ExecutionTraceObserver": "an internal of PyTorch's own compiler",
    r"nn\.Container": "long deprecated",
    r"Tensor\.(volatile|reinforce|stack_deprecated)|(Tensor\.)?(eig|lstsq|solve|symeig|matrix_rank)"
    r"|sparse\.solve|.*generate_methods_for_privateuse1_backend|.*privateuse.*":
        "removed by PyTorch",
}  # fmt: skip
