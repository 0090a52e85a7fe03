"""What the machine is: member names and types as protocol section 8 has them, host ids as gopsutil makes them."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from job_item.hardware import Unknown
from job_item.hardware.disk import disk_usage
from job_item.hardware.host import host_id, host_information
from job_item.hardware.memory import memory
from job_item.hardware.network import Address, interface, interfaces, traffic
from job_item.hardware.platform import platform_of
from job_item.hardware.processor import processor_times, utilisation
from job_item.hardware.report import wrap
from job_item.hardware.virtualization import virtualization_of
from tests.machines import BOOT_ID, lay_out

PRODUCT, MACHINE = "sys/class/dmi/id/product_uuid", "etc/machine-id"

HOST_MEMBERS = {
    "hostname": str, "uptime": int, "bootTime": int, "procs": int, "os": str, "platform": str, "platformFamily": str,
    "platformVersion": str, "kernelVersion": str, "kernelArch": str, "virtualizationSystem": str,
    "virtualizationRole": str, "hostId": str,
}  # fmt: skip
"""Protocol 8.1."""

MEMORY_MEMBERS = (
    "total available used usedPercent free active inactive wired laundry buffers cached writeBack dirty writeBackTmp"
    " shared slab sreclaimable sunreclaim pageTables swapCached commitLimit committedAS highTotal highFree lowTotal"
    " lowFree swapTotal swapFree mapped vmallocTotal vmallocUsed vmallocChunk hugePagesTotal hugePagesFree"
    " hugePagesRsvd hugePagesSurp hugePageSize anonHugePages"
)
"""Protocol 8.3."""


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({PRODUCT: "4C4C4544-0042-3510\n", MACHINE: "a" * 32 + "\n"}, "4c4c4544-0042-3510"),
        ({PRODUCT: "\n", MACHINE: "0123456789ABCDEF0123456789abcdef\n"}, "01234567-89AB-CDEF-0123-456789abcdef"),
        ({MACHINE: "0123456789abcdef0123456789abcdef"}, "01234567-89ab-cdef-0123-456789abcdef"),
        ({MACHINE: "uninitialized\n"}, BOOT_ID.lower()),
        ({MACHINE: "0123456789abcdef0123456789abcdef \n"}, BOOT_ID.lower()),
        ({}, BOOT_ID.lower()),
        ({"proc/sys/kernel/random/boot_id": ""}, ""),
    ],
)
def test_the_host_id_is_the_one_of_gopsutil(tmp_path: Path, files: dict[str, str], wanted: str) -> None:
    assert host_id(lay_out(tmp_path, files)) == wanted


def test_a_product_uuid_that_may_not_be_read_is_passed_over(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {MACHINE: "0123456789abcdef0123456789abcdef"})
    (root / PRODUCT).mkdir(parents=True)  # unreadable for root too
    assert host_id(root) == "01234567-89ab-cdef-0123-456789abcdef"


def test_the_host_of_this_machine_has_all_members_of_the_protocol() -> None:
    before_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    host = host_information()
    after_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert {name: type(value) for name, value in host.items()} == HOST_MEMBERS
    assert host["hostname"] == socket.gethostname()
    assert before_s - 5 < int(host["uptime"]) < after_s + 5
    assert 0 < int(host["bootTime"]) <= time.time()
    assert int(host["procs"]) > 1
    assert (host["os"], host["kernelVersion"], host["kernelArch"]) == ("linux", os.uname().release, os.uname().machine)


def test_the_host_is_what_its_files_say(tmp_path: Path) -> None:
    host = host_information(lay_out(tmp_path))
    assert (host["bootTime"], host["procs"]) == (1700000000, 2)
    assert (host["platform"], host["platformFamily"], host["platformVersion"]) == ("debian", "debian", "12.4")
    assert (host["virtualizationSystem"], host["virtualizationRole"]) == ("", "")


def test_a_container_with_an_uptime_of_its_own_was_booted_then(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {".dockerenv": ""})
    before = time.time()
    host = host_information(root)
    assert before - 5 < int(host["bootTime"]) + 1000.5 < time.time() + 5
    assert (host["virtualizationSystem"], host["virtualizationRole"]) == ("docker", "guest")


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n"}, ("ubuntu", "debian", "22.04")),
        ({"etc/lsb-release": "nonsense\n"}, ("debian", "debian", "12.4")),
        ({"usr/bin/raspi-config": ""}, ("raspbian", "debian", "12.4")),
        ({"etc/oracle-release": "Oracle Linux Server release 8.7\n"}, ("oracle", "rhel", "8.7")),
    ],
)
def test_debian_and_its_relatives(tmp_path: Path, files: dict[str, str], wanted: tuple[str, ...]) -> None:
    assert platform_of(lay_out(tmp_path, files)) == wanted


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"redhat-release": "CentOS Linux release 7.9.2009 (Core)\n"}, ("centos", "rhel", "7.9.2009")),
        ({"redhat-release": "Red Hat Enterprise Linux release 9.3 (Plow)\n"}, ("redhat", "rhel", "9.3")),
        ({"redhat-release": "Fedora release 40 (Rawhide)\n"}, ("fedora", "fedora", "rawhide")),
        ({"system-release": "Amazon Linux release 2 (Karoo)\n"}, ("amazon", "rhel", "2")),
        (
            {"alpine-release": "3.19.1\n", "os-release": 'ID=alpine\nVERSION_ID="3.19"\n'},
            ("alpine", "alpine", "3.19.1"),
        ),
        ({"arch-release": "", "lsb-release": "DISTRIB_RELEASE=rolling\n"}, ("arch", "arch", "rolling")),
        ({"slackware-version": "Slackware 15.0\n"}, ("slackware", "slackware", "15.0")),
        ({"os-release": 'ID="amzn"\nVERSION_ID="2023"\n'}, ("amazon", "rhel", "2023")),
        ({"os-release": "ID=nixos\nVERSION_ID=24.05\n"}, ("nixos", "", "24.05")),
        ({}, ("", "", "")),
    ],
)
def test_other_systems(tmp_path: Path, files: dict[str, str], wanted: tuple[str, ...]) -> None:
    (tmp_path / "etc").mkdir()
    for name, text in files.items():
        (tmp_path / "etc" / name).write_text(text)
    assert platform_of(tmp_path) == wanted


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"proc/xen/capabilities": "control_d\n"}, ("xen", "host")),
        ({"proc/xen/nothing": ""}, ("xen", "guest")),
        ({"proc/modules": "kvm_intel 1\nvboxguest 2\n"}, ("kvm", "host")),
        ({"proc/modules": "vboxguest 2\n"}, ("vbox", "guest")),
        ({"proc/cpuinfo": "model name : QEMU Virtual CPU version 2\n"}, ("kvm", "guest")),
        ({"proc/modules": "kvm 1\n", "proc/bus/pci/devices": "0 virtio-pci\n"}, ("kvm", "guest")),
        ({"proc/bc/0/x": ""}, ("openvz", "host")),
        ({"proc/vz/x": ""}, ("openvz", "guest")),
        ({"proc/self/status": "VxID: 7\n"}, ("linux-vserver", "")),
        ({"proc/1/environ": "a=b\0container=lxc\0"}, ("lxc", "guest")),
        ({"proc/self/cgroup": "1:name=systemd:/docker/abc\n"}, ("docker", "guest")),
        ({"proc/self/cgroup": "0::/\n", "usr/bin/lxc-version": ""}, ("lxc", "host")),
        ({"etc/os-release": "ID=coreos\n"}, ("rkt", "host")),
        ({".dockerenv": "", "proc/modules": "kvm 1\n"}, ("docker", "guest")),
        ({}, ("", "")),
    ],
)
def test_signs_of_virtual_machines_and_containers(
    tmp_path: Path, files: dict[str, str], wanted: tuple[str, str]
) -> None:
    assert virtualization_of(lay_out(tmp_path, files)) == wanted


def test_the_utilisation_leaves_idle_and_iowait_out_and_counts_guests_once(tmp_path: Path) -> None:
    before = processor_times(lay_out(tmp_path))
    later = "cpu0 20 0 20 80 20 0 0 0 9 0\ncpu1 20 0 20 160 0 0 0 0 2 0\n"
    after = processor_times(lay_out(tmp_path, {"proc/stat": later}))
    assert utilisation(before, after) == [50.0, 0.0]


def test_a_processor_that_did_nothing_but_work_is_fully_used(tmp_path: Path) -> None:
    before = processor_times(lay_out(tmp_path, {"proc/stat": "cpu0 1 0 0 9\n"}))
    after = processor_times(lay_out(tmp_path, {"proc/stat": "cpu0 3 0 0 4\n"}))
    assert utilisation(before, after) == [100.0]


def test_the_memory_has_all_members_of_the_protocol(tmp_path: Path) -> None:
    for found in (memory(), memory(lay_out(tmp_path))):
        assert sorted(found) == sorted(MEMORY_MEMBERS.split())
        assert {name for name, value in found.items() if type(value) is not int} == {"usedPercent"}
        assert type(found["usedPercent"]) is float


def test_the_memory_is_worked_out_as_the_protocol_says(tmp_path: Path) -> None:
    found = memory(lay_out(tmp_path))
    assert found["cached"] == 360_000 * 1024
    assert found["used"] == (1_000_000 - 200_000 - 50_000 - 360_000) * 1024
    assert found["usedPercent"] == pytest.approx(39.0)
    assert (found["shared"], found["committedAS"]) == (12345 * 1024, 650_000 * 1024)
    assert [found[f"hugePages{name}"] for name in ("Total", "Free", "Rsvd", "Surp")] == [11, 10, 9, 8]
    assert (found["hugePageSize"], found["anonHugePages"]) == (2048 * 1024, 10240 * 1024)
    assert (found["writeBack"], found["writeBackTmp"], found["wired"], found["laundry"]) == (2048, 0, 0, 0)


def test_an_old_kernel_that_does_not_say_what_is_available(tmp_path: Path) -> None:
    assert (
        memory(lay_out(tmp_path, {"proc/meminfo": "MemTotal: 10 kB\nMemFree: 4 kB\nCached: 1 kB\n"}))["available"]
        == 5 * 1024
    )


def test_an_interface_is_told_in_the_words_of_the_protocol() -> None:
    addresses = [
        Address(socket.AF_INET6, "fe80::1%eth0", "ffff:ffff:ffff:ffff::"),
        Address(socket.AF_INET, "192.0.2.7", "255.255.255.0"),
        Address(socket.AF_PACKET, "02:fc:00:00:00:01", None),
    ]
    flags = ["up", "broadcast", "running", "multicast"]
    assert interface("eth0", 2, 1500, flags, addresses) == {
        "index": 2, "mtu": 1500, "name": "eth0", "hardwareAddr": "02:fc:00:00:00:01",
        "flags": ["up", "broadcast", "multicast"], "addrs": [{"addr": "192.0.2.7/24"}, {"addr": "fe80::1/64"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "addresses", "wanted"),
    [
        (["running"], [], (None, [])),
        (["pointopoint", "up"], None, (["up", "pointtopoint"], None)),
        (
            ["up", "loopback"],
            [Address(socket.AF_INET, "127.0.0.1", "255.0.0.0")],
            (["up", "loopback"], ["127.0.0.1/8"]),
        ),
        (["up"], [Address(socket.AF_INET, "192.0.2.1", None)], (["up"], ["192.0.2.1/32"])),
    ],
)
def test_flags_and_addresses_that_are_missing(
    flags: list[str], addresses: list[Address] | None, wanted: tuple[Any, Any]
) -> None:
    found = interface("x", 1, 1, flags, addresses)
    assert found["hardwareAddr"] == ""
    listed = found["addrs"] and [each["addr"] for each in found["addrs"]]
    assert (found["flags"], listed) == wanted


def test_the_loopback_interface_of_this_machine_is_told() -> None:
    loopback = next(each for each in interfaces() if each["name"] == "lo")
    assert set(loopback) == {"index", "mtu", "name", "hardwareAddr", "flags", "addrs"}
    assert loopback["hardwareAddr"] == ""
    assert {"addr": "127.0.0.1/8"} in loopback["addrs"]
    assert "loopback" in loopback["flags"]
    json.dumps(loopback)


def test_the_wrapper_has_the_members_of_the_protocol() -> None:
    assert wrap([12.5, 3.0], "h", "P") == {
        "host_id": "h", "data": [12.5, 3.0], "time_duration": "one_minute", "project_data_uuid": "P",
    }  # fmt: skip


def test_traffic_is_counted_by_interface(tmp_path: Path) -> None:
    assert traffic(lay_out(tmp_path))["eth0"] == (2000, 3, 4000, 5)
    assert "lo" in traffic()


def test_a_disk_says_how_full_it_is(tmp_path: Path) -> None:
    usage = disk_usage(tmp_path)
    assert 0 <= usage.free_bytes <= usage.total_bytes
    assert usage.total_bytes > 0


@pytest.mark.parametrize(
    ("files", "query"),
    [
        ({"proc/stat": "btime x\n"}, host_information),
        ({"proc/stat": "nothing\n"}, processor_times),
        ({"proc/stat": "cpu0 x\n"}, processor_times),
        ({"proc/meminfo": ""}, memory),
        ({"proc/meminfo": "MemTotal: much\n"}, memory),
        ({"proc/net/dev": "a\nb\n eth0: 1 2\n"}, traffic),
        ({}, lambda root: disk_usage(root / "missing")),
    ],
)
def test_a_query_that_fails_says_so_with_the_code_that_users_know(
    tmp_path: Path, files: dict[str, str], query: Callable[[Path], Any]
) -> None:
    with pytest.raises(Unknown) as raised:
        query(lay_out(tmp_path, files))
    assert raised.value.code == "ERR-HST-001"
    assert raised.value.message.endswith(".")
