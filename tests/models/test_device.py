"""Jobs on one machine each take a GPU of their own, by a lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from sqljudge.models import device as devices
from sqljudge.models.device import (
    DeviceError,
    fastest_dtype,
    lock_folder,
    locked,
    offered_devices,
    operations,
    own_device,
    read_listing,
    steady_rate,
)

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
LISTING = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa-1)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb-2)
"""
DIVIDED = """GPU 0: NVIDIA A100 (UUID: GPU-aaaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111)
  MIG 3g.20gb     Device  1: (UUID: MIG-2222)
GPU 1: NVIDIA A100 (UUID: GPU-bbbb)
"""
HOLD = """
import sys
from pathlib import Path
from sqljudge.models.device import locked
with locked(sys.argv[2:], Path(sys.argv[1])) as device:
    print(device, flush=True)
    sys.stdin.read()
"""
Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Starts a process that takes one of the named devices, says which, and holds it until its input ends."""
    with ExitStack() as started:

        def start(*names: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", HOLD, str(tmp_path), *names],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(WORKFLOW)},
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def complained(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline().strip()


def test_two_jobs_take_different_gpus_and_the_third_waits_for_the_first_to_end(hold: Hold) -> None:
    first, second = hold("A", "B"), hold("A", "B")
    taken = {said(first), said(second)}
    assert taken == {"A", "B"}
    third = hold("A", "B")
    assert complained(third) == "all GPUs (2) are taken by other jobs; waiting for one"
    first.communicate("")
    assert said(third) in taken


def test_a_killed_job_gives_its_gpu_back(hold: Hold) -> None:
    victim = hold("A")
    assert said(victim) == "A"
    waiting = hold("A")
    assert "waiting" in complained(waiting)
    victim.kill()
    assert said(waiting) == "A"


def test_an_error_in_a_job_is_not_taken_for_a_held_lock(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), locked(["A", "B"], tmp_path):
        raise BlockingIOError
    with locked(["A"], tmp_path) as device:
        assert device == "A", "the lock is free again, or this waits for ever"


def test_a_lock_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "A_B.lock").mkdir()
    with (
        pytest.raises(DeviceError, match=r"A_B\.lock: cannot be opened .*; it is a GPU's lock"),
        locked(["A/B"], tmp_path),
    ):
        pass


def test_a_lock_holds_within_one_process_too(tmp_path: Path) -> None:
    with locked(["A", "B"], tmp_path) as one, locked(["A", "B"], tmp_path) as other:
        assert (one, other) == ("A", "B")


def test_devices_are_read_by_uuid() -> None:
    assert read_listing(LISTING) == ["GPU-aaaa-1", "GPU-bbbb-2"]
    assert read_listing("No devices were found\n") == []


def test_the_parts_of_a_divided_gpu_take_its_place() -> None:
    assert read_listing(DIVIDED) == ["MIG-1111", "MIG-2222", "GPU-bbbb"]


@pytest.mark.parametrize(
    ("visible", "offered"),
    [
        (None, ["a", "b", "c"]),
        ("2,0", ["c", "a"]),
        ("1", ["b"]),
        ("GPU-x, 0", ["GPU-x", "a"]),
        ("7", ["7"]),
        ("", []),
    ],
)
def test_a_schedulers_choice_is_kept_to(visible: str | None, offered: list[str]) -> None:
    assert offered_devices(["a", "b", "c"], visible) == offered


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Makes a machine with the named GPUs."""

    def make(*names: str) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(devices, "listed_devices", lambda: list(names))
        monkeypatch.setattr(devices, "lock_folder", lambda: tmp_path)

    return make


def test_a_job_sees_only_the_gpu_it_took(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine("A", "B", "C")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    with own_device(1) as device:
        assert (device, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "B")


def test_a_second_job_takes_the_next(machine: Callable[..., None], hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    machine("A", "B")
    assert said(hold("A", "B")) == "A"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with own_device(1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "B"


def test_a_job_without_a_choice_leaves_the_environment_alone(machine: Callable[..., None]) -> None:
    machine("A")
    with own_device(1) as device:
        assert device == "cuda"
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
    machine()
    with own_device(1) as device:
        assert device == "cuda"


def test_a_job_that_was_given_no_gpu_takes_none(machine: Callable[..., None], tmp_path: Path) -> None:
    machine("A", "B")
    with own_device(0) as device:
        assert device == "cpu"
    assert list(tmp_path.iterdir()) == []


def test_no_driver_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.listed_devices() == []


def test_the_locks_lie_in_a_folder_of_this_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = lock_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert lock_folder() == folder
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(DeviceError, match="belongs to another user"):
        lock_folder()
    folder.unlink()
    folder.write_text("")
    with pytest.raises(DeviceError, match="cannot be made"):
        lock_folder()


@pytest.mark.parametrize(
    ("features", "dtype"),
    [
        (["amx_bf16"], "bfloat16"),
        (["avx512_bf16"], "bfloat16"),
        (["bf16"], "bfloat16"),
        (["avx512f", "amx_int8", "not_amx_bf16"], "float32"),
        ([], "float32"),
    ],
)
@pytest.mark.parametrize("said_by", ["flags", "Features", "torch"])
def test_the_fastest_dtype_is_bfloat16_where_the_machine_multiplies_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, features: list[str], dtype: str, said_by: str
) -> None:
    """Linux lists what an x86 (flags) or ARM (Features) processor can do; elsewhere PyTorch finds out."""
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr("sqljudge.models.device.CPU_INFO", info)
    if said_by == "torch":
        capabilities = {"architecture": "x86_64", "amx_bf16": False} | dict.fromkeys(features, True)
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities)
    else:
        info.write_text(f"model name\t: bf16 of no use\n{said_by}\t\t: fpu {' '.join(features)} sse\n" * 2)
    assert fastest_dtype("cpu") == dtype
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: dtype == "bfloat16")
    assert fastest_dtype("cuda") == dtype


def test_linux_and_pytorch_agree_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = fastest_dtype("cpu")
    monkeypatch.setattr("sqljudge.models.device.CPU_INFO", tmp_path / "missing")
    assert fastest_dtype("cpu") == said


@pytest.mark.parametrize(
    ("seconds", "rate", "took"),
    [
        ([0.1], 10.0, 2.4),  # steady: the first window is left out, five are alike
        ([0.4, 0.5, 0.45, 0.55, 0.42, 0.1], 10.0, 4.4),  # slow at first, such as a processor that wakes up
        ([0.1, 0.2, 0.1, 0.3, 0.1, 0.1, 0.4], None, 10.0),  # never steady: it ends
    ],
)
def test_a_rate_is_measured_until_it_is_steady(seconds: list[float], rate: float | None, took: float) -> None:
    now, steps = [0.0], iter(seconds * 1000 if rate is None else [*seconds, *[seconds[-1]] * 1000])

    def step() -> None:
        now[0] += next(steps)

    found = steady_rate(step, lambda: now[0])
    assert found == pytest.approx(rate) if rate else 2 < found < 11
    assert now[0] <= 10.5
    assert now[0] == pytest.approx(took, abs=0.6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_device_is_timed_in_the_dtype_that_models_take_there(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, ones = [], torch.ones
    monkeypatch.setattr("torch.ones", lambda size, **how: made.append(how) or ones(size, **how))
    monkeypatch.setattr(devices, "fastest_dtype", lambda device: dtype)
    monkeypatch.setattr(devices, "steady_rate", lambda step: (step(), 3.0)[1])
    assert operations(gpu=False) == 2 * 1024**3 * 3.0
    assert made == [{"dtype": getattr(torch, dtype), "device": "cpu"}]
