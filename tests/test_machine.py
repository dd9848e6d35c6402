"""What a machine has, without torch: NVIDIA's driver may be there, not there, or break."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from renderer.kolors.fitting import machine
from renderer.kolors.fitting.machine import CONTEXT, Machine, machines, this_machine

CARDS = {
    "GPU-aa": ("NVIDIA GeForce RTX 4060", 8 * 2**30, 7 * 2**30),
    "GPU-bb": ("NVIDIA L4", 24 * 2**30, 20 * 2**30),
}


class Driver:
    """NVML as `pynvml` shows it, with two cards."""

    def __init__(self, failing=""):
        self.failing, self.open = failing, 0

    def _called(self, name):
        if name == self.failing:
            raise RuntimeError(f"{name}: driver not loaded")

    def nvmlInit(self):
        self._called("nvmlInit")
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(CARDS)

    def nvmlDeviceGetHandleByIndex(self, index):
        return list(CARDS)[index]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return next(name for name in CARDS if name == uuid)

    def nvmlDeviceGetUUID(self, handle):
        return handle

    def nvmlDeviceGetName(self, handle):
        self._called("nvmlDeviceGetName")
        return CARDS[handle][0]

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(total=CARDS[handle][1], free=CARDS[handle][2])


@pytest.fixture
def driver(monkeypatch):
    def install(failing="", visible=None, torch="2.14.1+cu130"):
        found = Driver(failing)
        monkeypatch.setitem(sys.modules, "pynvml", found)
        monkeypatch.setattr(machine, "version", lambda package: torch)
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        return found

    return install


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["NVIDIA GeForce RTX 4060", "NVIDIA L4"]),
        ("1", ["NVIDIA L4"]),
        ("1,0", ["NVIDIA L4", "NVIDIA GeForce RTX 4060"]),
        ("GPU-bb", ["NVIDIA L4"]),
        ("GPU-b", ["NVIDIA L4"]),
        ("0,-1,1", ["NVIDIA GeForce RTX 4060"]),
        ("0, 7, 1", ["NVIDIA GeForce RTX 4060"]),
        ("", ["CPU"]),
        ("-1", ["CPU"]),
        ("GPU-none", ["CPU"]),
    ],
)
def test_cards_are_those_that_cuda_shows(driver, visible, names):
    nvml = driver(visible=visible)
    assert [it.name for it in machines()] == names
    assert nvml.open == 0


@pytest.mark.parametrize("failing", ["nvmlInit", "nvmlDeviceGetName"])
def test_a_driver_that_fails_leaves_the_cpu(driver, failing):
    nvml = driver(failing)
    assert this_machine().kind == "cpu" and nvml.open == 0


def test_torch_that_was_built_without_cuda_paints_on_the_cpu(driver):
    driver(torch="2.14.1+cpu")
    assert this_machine().kind == "cpu"


def test_a_card_has_to_hold_cuda_itself_too(driver):
    driver()
    card = this_machine()
    assert (card.kind, card.total, card.free, card.precision) == ("cuda", 8 * 2**30, 7 * 2**30, "fp16")
    assert card.room.free == 7 * 2**30 - CONTEXT and card.room.host == card.host
    assert str(card) == "NVIDIA GeForce RTX 4060, 7.5 GB free"


def test_apples_gpu_shares_the_computers_memory(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(machine.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(machine, "version", lambda package: "2.14.1+cpu")
    found = this_machine()
    assert found.kind == "mps" and found.free == found.host == found.room.free


def test_this_computer_has_memory_and_no_torch_is_needed_to_know():
    code = (
        "import sys; from renderer.kolors.fitting.machine import this_machine; found = this_machine(); "
        "print('torch' in sys.modules, 0 < found.free <= found.total, found.host > 0)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "True", "True"]


def test_words_of_a_cpu():
    assert str(Machine("cpu", "CPU", 32 * 10**9, 20 * 10**9, 20 * 10**9)) == "CPU, 20.0 GB free"
