"""Whether what the node keeps is kept: the state folder, fsync, task files, space."""

from __future__ import annotations

import errno
import os
import stat
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from job_item.hardware import Unknown
from job_item.hardware.disk import Usage, disk_usage
from supervisor.doctor.line import Case, Line, fail, of_error, ok, warn
from supervisor.wording import size

ROUNDS = 8
SLOW_S, TOO_QUICK_S = 0.1, 20e-6
"""A commit that takes longer is felt with `sync: full`; one that takes less has reached no disk."""

SPACE_LOW_BYTES, SPACE_OUT_BYTES = 1 << 30, 64 << 20
INODES_LOW, INODES_OUT = 20_000, 1_000

_MEMORY = ("tmpfs", "ramfs")
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs")


def state_folder(case: Case) -> Iterator[Line]:
    """Whether the state folder is the node's own."""
    folder = case.state_dir
    if not folder.exists():
        home = nearest(folder)
        if not os.access(home, os.W_OK | os.X_OK):
            yield fail("state folder", "ERR-SUP-006", f"{folder} does not exist and cannot be made in {home}.")
        else:
            yield ok("state folder", f"{folder} will be made at the first start.")
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield fail("state folder", "ERR-SUP-006", f"{folder} cannot be written by this user.")
    elif mode & (stat.S_IWGRP | stat.S_IWOTH):
        said = f"Others may write in {folder} (mode {mode:04o})."
        yield fail("state folder", "ERR-SUP-007", said, f"chmod 700 {folder}")
    elif mode & (stat.S_IROTH | stat.S_IXOTH):
        yield warn("state folder", "ERR-SUP-007", f"Others may read {folder} (mode {mode:04o}).", f"chmod 700 {folder}")
    else:
        yield ok("state folder", f"{folder} is the node's own.")


def durability(case: Case, sync: Callable[[int], None] = os.fsync) -> Iterator[Line]:
    """Whether what is written stays: the kind of file system, and how long the disk takes to confirm a write."""
    folder = nearest(case.state_dir)
    kind = kind_of(folder, case.root)
    if kind in _NETWORK:
        said = f"{folder} is on a network file system ({kind}), where the journal's locks and log are not safe."
        yield fail("fsync", "ERR-HST-105", said)
        return
    try:
        took_s = statistics.median(_time_writes(folder, sync))
    except OSError as error:
        yield fail("fsync", "ERR-HST-105", f"A write to {folder} is not confirmed: {error.strerror}.")
        return
    shown = f"{took_s * 1000:.2f} ms"
    if kind in _MEMORY:
        yield warn(
            "fsync", "ERR-HST-105", f"{folder} is in memory ({kind}): nothing survives a restart of the machine."
        )
    elif took_s > SLOW_S:
        yield warn("fsync", "ERR-HST-105", f"A confirmed write to {folder} takes {shown}.")
    elif took_s < TOO_QUICK_S:
        yield warn(
            "fsync",
            "ERR-HST-105",
            f"A write is confirmed within {shown}: no disk is that quick, so a power cut may lose it.",
        )
    else:
        yield ok("fsync", f"A write to {folder} ({kind or 'unknown file system'}) is confirmed within {shown}.")


def task_files(case: Case) -> Iterator[Line]:
    """Whether task files appear whole and can be told from others' files (`job_item.keeper.taskfile`)."""
    folder = case.work_dir
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield fail("task files", "ERR-CFG-020", f"{folder} is not writable by this user.")
        return
    abilities = {"unnamed files": has_unnamed, "extended attributes": has_attributes}
    missing = [name for name, has in abilities.items() if not has(folder)]
    if missing:
        yield warn("task files", "ERR-HST-106", f"The file system of {folder} has no {' and no '.join(missing)}.")
    else:
        yield ok("task files", f"Task files in {folder} appear whole and are marked as the node's.")


def space(case: Case, measure: Callable[[Path], Usage] = disk_usage) -> Iterator[Line]:
    """Whether there is room on the disks of the state folder and of the jobs."""
    for folder in dict.fromkeys((nearest(case.state_dir), case.work_dir)):
        try:
            usage = measure(folder)
        except Unknown as error:
            yield of_error("disk space", error, "warn")
            continue
        yield _judge_space(folder, usage)
        yield _judge_inodes(folder, usage)


def _judge_space(folder: Path, usage: Usage) -> Line:
    said = f"{size(usage.free_bytes)} of {size(usage.total_bytes)} are free under {folder}."
    if usage.free_bytes < SPACE_OUT_BYTES:
        return fail("disk space", "ERR-HST-107", said)
    return warn("disk space", "ERR-HST-107", said) if usage.free_bytes < SPACE_LOW_BYTES else ok("disk space", said)


def _judge_inodes(folder: Path, usage: Usage) -> Line:
    if not usage.total_inodes:
        return ok("inodes", f"The file system of {folder} does not count files.")
    said = f"{usage.free_inodes} of {usage.total_inodes} files can still be made under {folder}."
    if usage.free_inodes < INODES_OUT:
        return fail("inodes", "ERR-HST-108", said)
    return warn("inodes", "ERR-HST-108", said) if usage.free_inodes < INODES_LOW else ok("inodes", said)


def nearest(folder: Path) -> Path:
    """The folder itself, or what exists of the way to it."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def kind_of(folder: Path, root: Path) -> str:
    """The type of the file system that holds a folder, empty where it cannot be told."""
    try:
        rows = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    path, found = folder.resolve(), ("", "")
    for row in rows:
        before, _, after = row.partition(" - ")
        where = before.split(" ")[4].replace("\\040", " ")
        if (path.is_relative_to(where)) and len(where) >= len(found[0]):
            found = (where, after.split(" ")[0])
    return found[1]


def has_unnamed(folder: Path) -> bool:
    """Whether a file can be made here that has no name yet."""
    try:
        os.close(os.open(folder, os.O_WRONLY | os.O_CLOEXEC | os.O_TMPFILE, 0o600))
    except (OSError, AttributeError):
        return False
    return True


def has_attributes(folder: Path) -> bool:
    """Whether files here can have extended attributes."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.setxattr(file.fileno(), "user.job_item.doctor", b"1")
            return os.getxattr(file.fileno(), "user.job_item.doctor") == b"1"
    except (OSError, AttributeError):
        return False


def _time_writes(folder: Path, sync: Callable[[int], None]) -> Iterator[float]:
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with tempfile.TemporaryFile(dir=folder) as file:
        for write in [partial(file.write, bytes([number]) * 4096) for number in range(ROUNDS)]:
            write()
            file.flush()
            begun = time.perf_counter()
            sync(file.fileno())
            yield time.perf_counter() - begun
