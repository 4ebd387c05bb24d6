"""What a report of an error should say about the machine: ``python -m`` this module prints it."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import NamedTuple

__all__ = ["SystemEnv", "get_env_info", "get_pretty_env_info", "main", "pretty_str"]

_PACKAGES = ("numpy", "scipy", "ml-dtypes", "cupy-cuda12x", "cupy-cuda13x", "tapebook", "textual")


class SystemEnv(NamedTuple):
    """What the report says, by PyTorch's names.

    >>> from framework.utils.collect_env import SystemEnv
    >>> SystemEnv._fields[:3]
    ('torch_version', 'os', 'python_version')
    """

    torch_version: str
    os: str
    python_version: str
    python_platform: str
    libc_version: str
    is_cuda_available: str
    nvidia_gpu_models: str
    cpu_info: str
    pip_packages: str


def get_env_info() -> SystemEnv:
    """Versions and devices of this process.

    >>> from framework.utils.collect_env import get_env_info
    >>> get_env_info().python_version.startswith("3.")
    True
    """
    import framework

    available = framework.cuda.is_available()
    devices = range(framework.cuda.device_count()) if available else ()
    return SystemEnv(
        torch_version=str(framework.__version__),
        os=platform.platform(),
        python_version=f"{platform.python_version()} ({sys.maxsize.bit_length() + 1}-bit runtime)",
        python_platform=platform.platform(),
        libc_version="-".join(platform.libc_ver()),
        is_cuda_available=str(available),
        nvidia_gpu_models="\n".join(
            f"GPU {i}: {framework.cuda.get_device_name(i)}" for i in devices
        ),
        cpu_info=f"{platform.machine()}, {os.cpu_count()} processors",
        pip_packages="\n".join(_versions()),
    )


def _versions() -> list[str]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def pretty_str(envinfo: SystemEnv) -> str:
    """The report as text, one thing a line.

    It never raises.

    >>> from framework.utils.collect_env import get_env_info, pretty_str
    >>> "Is CUDA available:" in pretty_str(get_env_info())
    True
    """
    lines = [
        f"PyTorch version: {envinfo.torch_version}",
        f"OS: {envinfo.os}",
        f"Libc version: {envinfo.libc_version}",
        f"Python version: {envinfo.python_version}",
        f"Python platform: {envinfo.python_platform}",
        f"Is CUDA available: {envinfo.is_cuda_available}",
        f"GPU models and configuration: {envinfo.nvidia_gpu_models or 'none'}",
        f"CPU: {envinfo.cpu_info}",
        "Versions of relevant libraries:",
        envinfo.pip_packages,
    ]
    return "\n".join(lines)


def get_pretty_env_info() -> str:
    """`pretty_str` of `get_env_info`.

    >>> from framework.utils.collect_env import get_pretty_env_info
    >>> get_pretty_env_info().startswith("PyTorch version:")
    True
    """
    return pretty_str(get_env_info())


def main() -> None:
    """Print the report.

    >>> from framework.utils.collect_env import main
    >>> main()
    PyTorch version: ...
    """
    sys.stdout.write(get_pretty_env_info() + "\n")


if __name__ == "__main__":
    main()
