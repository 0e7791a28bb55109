"""The memory that is free is what a container may still take, not what the machine has."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from stillroom.train.free_memory import available_bytes, give_back_freed_memory, left_in_groups


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_version_2_the_tightest_of_the_groups_above_counts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/jobs/one\n",
            "sys/fs/cgroup/jobs/one/memory.max": "max\n",
            "sys/fs/cgroup/jobs/one/memory.current": "400\n",
            "sys/fs/cgroup/jobs/one/memory.stat": "anon 300\ninactive_file 100\n",
            "sys/fs/cgroup/jobs/memory.max": "1000\n",
            "sys/fs/cgroup/jobs/memory.current": "700\n",
            "sys/fs/cgroup/jobs/memory.stat": "anon 600\ninactive_file 100\n",
        },
    )
    assert list(left_in_groups(tmp_path)) == [400]


def test_version_2_in_a_container_the_group_is_the_top_of_the_tree(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "500\n",
            "sys/fs/cgroup/memory.current": "900\n",
            "sys/fs/cgroup/memory.stat": "inactive_file 0\n",
        },
    )
    assert list(left_in_groups(tmp_path)) == [0]


def test_version_1_with_a_path_of_the_host(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1500\n",
            "sys/fs/cgroup/memory/memory.stat": "cache 9\ntotal_inactive_file 200\n",
        },
    )
    assert list(left_in_groups(tmp_path)) == [700]


def test_where_there_are_no_groups_the_system_decides(tmp_path: Path) -> None:
    assert list(left_in_groups(tmp_path)) == []
    write(tmp_path, {"proc/self/cgroup": "0::/here\n", "sys/fs/cgroup/here/memory.max": "not a number"})
    assert list(left_in_groups(tmp_path)) == []


def test_this_machine_has_some() -> None:
    assert 0 < available_bytes(torch.device("cpu")) <= psutil.virtual_memory().total
    give_back_freed_memory()
    assert torch.ones(1 << 20).sum() == 1 << 20
