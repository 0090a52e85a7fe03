"""The reports on the machine: each on its subject, member for member (protocol job-item.md, section 8)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from job_item import __version__
from job_item.hardware import Unknown
from job_item.hardware.host import host_id
from job_item.hardware.memory import memory
from job_item.hardware.report import counters, disks
from job_item.manager.offer import Offer
from job_item.release.marker import Marker, Staged
from tests.journals import in_loop
from tests.machines import lay_out
from tests.unit.test_session import until
from worker import reports as module
from worker.brokers.embedded import EmbeddedBroker, Hub
from worker.brokers.seam import Delivery
from worker.brokers.session import Session
from worker.reports import Reports, Versions, version

KINDS = ("host", "cpu", "mem", "net", "disk", "traffic", "version")
OFFER = Offer(4, "v0.2.0", "http://manager/binary")
MARKER = Marker().stage(Staged("2.0", ""), 1, 60.0, 1.0)
DISK_MEMBERS = {
    "path": str, "total": int, "free": int, "used": int, "usedPercent": float,
    "inodesTotal": int, "inodesUsed": int, "inodesFree": int, "inodesUsedPercent": float,
}  # fmt: skip


class Ear:
    """Hears all reports."""

    def __init__(self) -> None:
        self.heard: dict[str, list[bytes]] = {kind: [] for kind in KINDS}

    async def listen(self, hub: Hub) -> None:
        connection = await EmbeddedBroker(hub).connect()
        for kind in KINDS:
            await connection.subscribe(f"listen_{kind}_information", None, self._take)

    async def _take(self, delivery: Delivery) -> None:
        self.heard[delivery.subject.split("_")[1]].append(delivery.body)

    def first(self, kind: str) -> Any:
        return json.loads(self.heard[kind][0])


async def heard_in_one_round(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Ear:
    monkeypatch.setattr(module, "SAMPLE_S", 0.05)
    hub, ear = Hub(), Ear()
    await ear.listen(hub)
    session = Session(EmbeddedBroker(hub), 60.0)
    reports = Reports(session, host_id(), "P-uuid", (folder,), lambda: Versions(OFFER, "stable", MARKER), period_s=0.05)
    session.start()
    reports.start()
    try:
        await until(lambda: all(len(bodies) > 1 for bodies in ear.heard.values()))
    finally:
        await reports.stop()
        await session.stop()
    return ear


@in_loop
async def test_each_report_comes_at_once_and_again_in_its_wrapper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = await heard_in_one_round(tmp_path, monkeypatch)
    host = ear.first("host")
    assert host["hostId"] == host_id()
    assert "data" not in host, "the bare object"
    for kind in KINDS[1:]:
        report = ear.first(kind)
        assert list(report) == ["host_id", "data", "time_duration", "project_data_uuid"]
        assert (report["host_id"], report["time_duration"]) == (host_id(), "one_minute")
        assert report["project_data_uuid"] == "P-uuid"
        assert b": " not in ear.heard[kind][0][:12], "compact, as Go writes it"
    offered = {"number": 4, "version": "v0.2.0"}
    last = {"version": "2.0", "result": "staged", "reason": ""}
    told = {"version": __version__, "number": 3, "offered": offered, "channel": "stable", "last": last}
    assert ear.first("version")["data"] == told
    assert version(Versions()) == told | {"offered": None, "channel": None, "last": None}
    assert all(isinstance(percent, float) and 0 <= percent <= 100 for percent in ear.first("cpu")["data"])
    assert set(ear.first("mem")["data"]) == set(memory())
    loopback = next(each for each in ear.first("net")["data"] if "loopback" in (each["flags"] or ()))
    assert set(loopback) == {"index", "mtu", "name", "hardwareAddr", "flags", "addrs"}
    (disk,) = ear.first("disk")["data"]
    assert {name: type(value) for name, value in disk.items()} == DISK_MEMBERS
    assert disk["path"] == str(tmp_path)
    assert set(ear.first("traffic")["data"][0]) == {"name", "bytesSent", "bytesRecv", "errin", "errout"}


@in_loop
async def test_what_the_machine_does_not_tell_is_said_once_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def unknown() -> Any:
        raise Unknown("ERR-HST-001", "The memory of this machine cannot be found out: no.")

    monkeypatch.setattr(module, "SAMPLE_S", 0.01)
    monkeypatch.setattr(module, "memory", unknown)
    hub, ear = Hub(), Ear()
    await ear.listen(hub)
    session = Session(EmbeddedBroker(hub), 60.0)
    reports = Reports(session, "h", "P", (tmp_path,), Versions, period_s=0.01)
    session.start()
    reports.start()
    await until(lambda: len(ear.heard["cpu"]) > 3)
    await reports.stop()
    await session.stop()
    assert ear.heard["mem"] == []
    assert capfd.readouterr().err.count("ERR-HST-001") == 1


@in_loop
async def test_nothing_is_reported_into_an_outage(tmp_path: Path) -> None:
    hub, ear = Hub(), Ear()
    await ear.listen(hub)  # before the node can be back
    hub.is_open = False
    session = Session(EmbeddedBroker(hub), 60.0)
    reports = Reports(session, "h", "P", (tmp_path,), Versions, period_s=0.01)
    session.start()
    reports.start()
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not any(ear.heard.values())
    hub.is_open = True
    await until(lambda: len(ear.heard["host"]) == 1)
    await reports.stop()
    await session.stop()


def test_a_file_system_is_told_of_once_and_a_folder_that_is_not_there_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    found = disks((tmp_path, tmp_path / "a", tmp_path / "missing"))
    assert [disk["path"] for disk in found] == [str(tmp_path)]
    assert found[0]["used"] + found[0]["free"] == found[0]["total"]
    with pytest.raises(Unknown):
        disks((tmp_path / "missing",))


def test_the_counters_of_an_interface_are_those_of_the_system(tmp_path: Path) -> None:
    columns = "100 1 2 0 0 0 0 0 300 3 4 0 0 0 0 0"
    net = f"Inter-|\n face |\n  eth0: {columns}\n"
    assert counters(lay_out(tmp_path, {"proc/net/dev": net})) == [
        {"name": "eth0", "bytesSent": 300, "bytesRecv": 100, "errin": 2, "errout": 4}
    ]
