"""Who has a pool open, and what to do about it."""

from __future__ import annotations

import errno
import os

from pmemobj.errors import PoolLockedError

__all__ = ["holder_of", "locked"]


def holder_of(path: str) -> int | None:
    """Process id of the one that has *path* locked, as far as /proc/locks tells."""
    try:
        place = _place_of(path)
        with open("/proc/locks", encoding="ascii") as file:
            lines = file.readlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if "FLOCK" in fields and place in fields:
            pid = int(fields[fields.index(place) - 1])
            return pid if pid > 0 else None
    return None


def _place_of(path: str) -> str:
    """Device and inode of *path*, as /proc/locks writes them.

    Its device is the file system's, which Btrfs tells of a file only by its mount.
    """
    file = os.open(path, os.O_PATH)
    try:
        status = os.fstat(file)
        major, minor = os.major(status.st_dev), os.minor(status.st_dev)
        with open(f"/proc/self/fdinfo/{file}", encoding="ascii") as lines:
            mount = next((line.split()[1] for line in lines if line.startswith("mnt_id:")), "")
    finally:
        os.close(file)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            number, _, device = line.split()[:3]
            if number == mount:
                major, minor = map(int, device.split(":"))
    return f"{major:02x}:{minor:02x}:{status.st_ino}"


def locked(file: str, path: str) -> PoolLockedError:
    """The error for the pool *path*, whose first data file *file* someone has open."""
    pid = holder_of(file)
    command = _command_of(pid)
    notebook = None
    kernel = command is not None and "ipykernel" in command
    if pid == os.getpid():
        who, what = "this process", "use the pool object you have, or close it first"
    elif pid is None:
        who, what = "another process", "close it there"
    elif kernel:
        notebook = _notebook_of(pid)
        which = f" of {notebook}" if notebook else ""
        who = f"a Jupyter kernel{which} (process {pid})"
        what = "run %pmem_close there, or shut that kernel down"
    else:
        who, what = f"process {pid} ({command})", "close it there, or end that process"
    return PoolLockedError(
        errno.EAGAIN,
        f"the pool is open in {who}, and a pool has one user at a time: {what}",
        path,
        pid=pid,
        kernel=kernel,
        command=command,
        notebook=notebook,
    )


def _notebook_of(pid: int | None) -> str | None:
    """The notebook that a Jupyter server started the kernel for, as the server told the kernel."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return None
    start = b"JPY_SESSION_NAME="
    names = [os.fsdecode(entry[len(start) :]) for entry in entries if entry.startswith(start)]
    return names[0] if names else None


def _command_of(pid: int | None) -> str | None:
    if pid is None:
        return None
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
