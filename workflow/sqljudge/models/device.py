"""Gives each job on a machine a GPU of its own, by a lock. Knows devices and locks, not models.

Snakemake counts GPUs but does not say which one a job takes. Nothing here starts CUDA in the process.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from filelock import BaseFileLock, FileLock, Timeout

from sqljudge.core.errors import ModelError, SqljudgeError

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
RUN = "SQLJUDGE_RUN"
"""The variable that tells a job which process runs it: its id, which the rules set."""
WINDOW_SECONDS, WINDOWS, SPREAD, MOST_SECONDS = 0.4, 5, 0.05, 10.0
"""Of the timing of a device: see `steady_rate`."""
CPU_INFO = Path("/proc/cpuinfo")
NATIVE_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")
"""What Linux and PyTorch call the instructions of CPUs (x86, ARM) that multiply in bfloat16."""
WAIT_SECONDS = 1.0
LISTED = re.compile(r"^\s*(GPU|MIG) .*\(UUID: ([\w/-]+)\)", re.MULTILINE)


class DeviceError(SqljudgeError):
    """A device cannot be set apart for a job."""


@contextmanager
def own_device(gpus: int) -> Iterator[str]:
    """The device of a job that was given `gpus` GPUs: "cpu" for none, else "cuda", on a GPU that no other job holds.

    A job waits while all are held. Where there is a choice, CUDA_VISIBLE_DEVICES names the one taken, so this comes
    before the first use of CUDA; a choice that a scheduler has made there is kept to. Raises DeviceError where the
    locks cannot be written.
    """
    if not gpus:
        yield "cpu"
        return
    offered = usable_devices()
    if not offered:
        yield "cuda"
        return
    with locked(offered, lock_folder()) as device:
        if len(offered) > 1:
            os.environ[VISIBLE] = device
        yield "cuda"


def usable_devices() -> list[str]:
    """The machine's GPUs that a job may take, whether or not another one holds them now."""
    return offered_devices(listed_devices(), os.environ.get(VISIBLE))


def listed_devices() -> list[str]:
    """The machine's GPUs by UUID, in the driver's order, parts of a divided GPU in its place; empty where unknown."""
    try:
        command = ["nvidia-smi", "-L"]
        listing = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return read_listing(listing)


def read_listing(listing: str) -> list[str]:
    """The devices of an `nvidia-smi -L`. The parts of a divided GPU (MIG) follow its line and take its place."""
    devices: list[str] = []
    whole = ""
    for kind, uuid in LISTED.findall(listing):
        if kind == "MIG" and devices[-1:] == [whole]:
            devices.pop()
        devices.append(uuid)
        whole = uuid if kind == "GPU" else whole
    return devices


def offered_devices(listed: Sequence[str], visible: str | None) -> list[str]:
    """The devices that a job may take: all, or those that CUDA_VISIBLE_DEVICES names, numbers turned into UUIDs.

    By UUID one lock is one device, also where a scheduler shows each job its own GPU as number 0.
    """
    if visible is None:
        return list(listed)
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return [listed[int(name)] if name.isdigit() and int(name) < len(listed) else name for name in names]


def lock_folder() -> Path:
    """This user's folder of locks on this machine. Raises DeviceError where it is another user's or not writable."""
    folder = Path(tempfile.gettempdir()) / f"sqljudge-gpus-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.stat(follow_symlinks=False).st_uid
    except OSError as error:
        raise DeviceError(f"{folder}: cannot be made ({error.strerror}); it holds the locks of the GPUs") from error
    if owner != os.getuid() or folder.is_symlink():
        raise DeviceError(f"{folder}: belongs to another user; remove it, or set TMPDIR to a folder of your own")
    return folder


@contextmanager
def locked(devices: Sequence[str], folder: Path) -> Iterator[str]:
    """The first of the devices whose lock is free, held until the end of the block or of the process.

    Waits while all are held, and says so once. Raises DeviceError where a lock cannot be written.
    """
    paths = {device: folder / f"{re.sub('[^A-Za-z0-9-]', '_', device)}.lock" for device in devices}
    locks = {device: FileLock(path, mode=0o600, fallback_to_soft=False) for device, path in paths.items()}
    taken = _take(locks)
    if taken is None:
        log.warning(f"all GPUs ({len(locks)}) are taken by other jobs; waiting for one")
    while taken is None:
        time.sleep(WAIT_SECONDS)
        taken = _take(locks)
    try:
        yield taken
    finally:
        locks[taken].release()


def _take(locks: Mapping[str, BaseFileLock]) -> str | None:
    for device, lock in locks.items():
        try:
            lock.acquire(blocking=False)
            return device
        except Timeout:
            continue
        except OSError as error:
            raise DeviceError(f"{lock.lock_file}: cannot be opened ({error.strerror}); it is a GPU's lock") from error
    return None


def fastest_dtype(device: str) -> str:
    """bfloat16 where the device ("cpu" or "cuda") multiplies matrices in it, else float32."""
    if device == "cuda":
        import torch

        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = not _cpu_features().isdisjoint(NATIVE_BFLOAT16)
    return "bfloat16" if native else "float32"


def _cpu_features() -> set[str]:
    """What the processor can do: by the system where it says so (Linux), which takes no time, else by PyTorch."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        import torch

        return {name for name, value in torch.cpu.get_capabilities().items() if value is True}
    named = (line.partition(":") for line in lines)
    return {word for name, _, words in named if name.strip() in ("flags", "Features") for word in words.split()}


def check_usable(device: str, model: str) -> None:
    """Check that a device ("cpu" or "cuda") can be used. Raises ModelError, naming the model, where it cannot."""
    if device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        what = "the job was given a GPU, but none can be used here"
        raise ModelError(f"model '{model}': {what}; run with --resources gpu=0")


def device_name(device: str) -> str:
    """What a job records of its device ("cpu" or "cuda"): "cpu", or the name of its GPU."""
    if device != "cuda":
        return device
    import torch

    return torch.cuda.get_device_name()


def operations(*, gpu: bool) -> float | None:
    """Floating-point operations a second, by multiplying matrices until that is steady: on a GPU, or on the CPU.

    In the dtype that `auto` stands for on that device. None where a GPU is wanted and this machine has none: a
    processor says nothing of it.
    """
    import torch

    if gpu and not torch.cuda.is_available():
        return None
    log.info("timing this device, for %g seconds at most ...", MOST_SECONDS)
    device, size = ("cuda", 4096) if gpu else ("cpu", 1024)
    matrix = torch.ones((size, size), dtype=getattr(torch, fastest_dtype(device)), device=device)
    return 2 * size**3 * steady_rate(lambda: float((matrix @ matrix)[0, 0]))


def steady_rate(step: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> float:
    """How often a second a step can be done: the median of the last WINDOWS windows of time.

    It is measured until these differ by at most SPREAD, the first one left out, or for MOST_SECONDS.
    """
    rates: list[float] = []
    begin = clock()
    while True:
        start, count, took = clock(), 0, 0.0
        while took < WINDOW_SECONDS:
            step()
            count, took = count + 1, clock() - start
        rates.append(count / took)
        last = sorted(rates[1:][-WINDOWS:])
        if len(last) == WINDOWS and last[-1] - last[0] <= SPREAD * last[0]:
            return median(last)
        if clock() - begin >= MOST_SECONDS - WINDOW_SECONDS:
            return median(last or rates)
