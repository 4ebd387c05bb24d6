"""How many processors a process may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from framework import processors

V1 = "4:memory:/a\n2:cpu,cpuacct:/docker/x\n"


@pytest.mark.parametrize(
    "groups, files, count",
    [
        ("0::/", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/", {"cpu.max": "max 100000\n"}, 0),
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "400000 100000"}, 3),
        ("0::/../x", {"cpu.max": "200000 100000"}, 2),
        ("0::/", {}, 0),
        ("0::/", {"cpu.max": "nonsense"}, 0),
        ("nonsense", {"cpu.max": "100000 100000"}, 0),
        (V1, {"cpu/docker/x/cpu.cfs_quota_us": "250000",
              "cpu/docker/x/cpu.cfs_period_us": "100000"}, 3),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "100000",
              "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 1),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 0),
    ],
)  # fmt: skip
def test_quotas(tmp_path: Path, groups: str, files: dict[str, str], count: int) -> None:
    (tmp_path / "self").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert processors.quota(tmp_path / "self", tmp_path / "fs") == count
    assert processors.quota(tmp_path / "not there", tmp_path / "fs") == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_threads_follow_the_affinity() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import framework; "
        "from framework.kernels import compiled; "
        "print(framework.get_num_threads(), compiled.threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1"], done.stderr
