"""A timer of the kernel's: an event loop's own timers are rounded to a millisecond, which is as
much as all that a gateway may add. Linux only (timerfd, see its manual page)."""

from __future__ import annotations

import asyncio
import ctypes
import os
from types import TracebackType

_MONOTONIC = 1  # the clock of time.perf_counter
_ABSOLUTE = 1
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_NANO = 1_000_000_000


class _Spec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("step_s", "step_ns", "first_s", "first_ns")]


class KernelTimer:
    """Ticks at `first` of time.perf_counter and every `step` seconds after it."""

    def __init__(self, first: float, step: float) -> None:
        self._first = int(first * _NANO)
        self._step = int(step * _NANO)
        self._ticked = asyncio.Event()
        self._file = -1

    def __enter__(self) -> KernelTimer:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.timerfd_create(_MONOTONIC, _FLAGS)
        spec = _Spec(*divmod(self._step, _NANO), *divmod(self._first, _NANO))
        if self._file < 0 or libc.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd")
        asyncio.get_running_loop().add_reader(self._file, self._on_tick)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)

    def _on_tick(self) -> None:
        os.read(self._file, 8)
        self._ticked.set()

    async def tick(self) -> None:
        """Return at the next tick, or at once if some were missed."""
        await self._ticked.wait()
        self._ticked.clear()
