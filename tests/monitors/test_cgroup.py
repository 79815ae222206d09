"""Limits of memory as the kernel's files have them: both versions, every group up to the root, none where there is none."""

from pathlib import Path

import pytest

from monitors.cgroup import MemoryLimit, memory_limits

NONE_V1 = "9223372036854771712"  # what version 1 says where there is no limit


def found(tmp_path: Path, cgroup: str, files: dict[str, str]) -> list[MemoryLimit]:
    """The limits, with /proc/self/cgroup and /sys/fs/cgroup as given."""
    root = tmp_path / "sys"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    (tmp_path / "cgroup").write_text(cgroup)
    return memory_limits(tmp_path / "cgroup", root)


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    files = {"memory.max": "1000", "memory.current": "400"}
    assert found(tmp_path, "0::/\n", files) == [MemoryLimit(1000, 400)]


def test_a_service_has_the_limits_of_every_group_that_it_is_in(tmp_path: Path) -> None:
    own, slice_ = "system.slice/tidegate.service/memory", "system.slice/memory"
    files = {f"{own}.max": "max", f"{own}.current": "4", f"{slice_}.max": "1000", f"{slice_}.current": "400"}
    assert found(tmp_path, "0::/system.slice/tidegate.service\n", files) == [MemoryLimit(1000, 400)]


def test_version_1_where_the_container_is_mounted_as_the_root(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": "1000", "memory/memory.usage_in_bytes": "400"}
    cgroup = "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n1:name=systemd:/docker/ab\n0::/\n"
    assert found(tmp_path, cgroup, files) == [MemoryLimit(1000, 400)]


@pytest.mark.parametrize(
    ("cgroup", "name", "text"),
    [("0::/\n", "memory.max", "max"), ("4:memory:/\n", "memory/memory.limit_in_bytes", NONE_V1), ("", "other", "1")],
)
def test_no_limit_is_none(tmp_path: Path, cgroup: str, name: str, text: str) -> None:
    used = "memory/memory.usage_in_bytes" if "memory/" in name else "memory.current"
    assert found(tmp_path, cgroup, {name: text, used: "4"}) == []


def test_a_kernel_without_control_groups_has_none(tmp_path: Path) -> None:
    assert memory_limits(tmp_path / "none") == []
