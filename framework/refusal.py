"""What is not here: functions that refuse in one line, and modules of devices that say no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["no_device", "refused"]


def refused(module: str, names: str, why: str) -> dict[str, Callable[..., NoReturn]]:
    """A function for each of the names, which raises NotImplementedError and says why.

    >>> refused("torch.far", "call", "nobody answers")["call"]()
    Traceback (most recent call last):
      ...
    NotImplementedError: torch.far.call: nobody answers
    """

    home, _, short = module.replace("torch", "framework", 1).rpartition(".")

    def make(name: str) -> Callable[..., NoReturn]:
        def refuse(*args: Any, **options: Any) -> NoReturn:
            raise NotImplementedError(f"{module}.{name}: {why}")

        refuse.__name__ = refuse.__qualname__ = name
        refuse.__doc__ = (
            f"Refused with NotImplementedError: {why}.\n\n"
            f">>> from {home} import {short}\n>>> {short}.{name}()\n"
            f"Traceback (most recent call last):\n  ...\n"
            f"NotImplementedError: {module}.{name}: {why}\n"
        )
        return refuse

    return {name: make(name) for name in names.split()}


def no_device(name: str) -> dict[str, Callable[..., Any]]:
    """The functions of a kind of device that is not here, such as ``mps``.

    It never raises.

    >>> mps = no_device("mps")
    >>> mps["is_available"](), mps["device_count"](), mps["manual_seed"](0)
    (False, 0, None)
    """

    def says(function: str, value: Any, words: str, given: str = "") -> Callable[..., Any]:
        def answer(*args: Any, **options: Any) -> Any:
            return value

        answer.__name__ = answer.__qualname__ = function
        shown = "" if value is None else f"{value}\n"
        answer.__doc__ = f"{words} It never raises.\n\n{example}{function}({given})\n{shown}"
        return answer

    def synchronize(device: Any = None) -> NoReturn:
        raise AssertionError(refusal)

    refusal = f"Torch not compiled with {name.upper()} enabled"
    example = f">>> import framework as torch\n>>> torch.{name}."
    synchronize.__doc__ = (
        f"Raises AssertionError: there is nothing to wait for.\n\n{example}synchronize()\n"
        f"Traceback (most recent call last):\n  ...\nAssertionError: {refusal}\n"
    )
    asked = ("is_available", "is_initialized", "is_bf16_supported")
    made = {
        question: says(question, False, "False: there is no such device.") for question in asked
    }
    made["device_count"] = says("device_count", 0, "0: there is no such device.")
    for accepted in ("empty_cache", "manual_seed", "manual_seed_all"):
        given = "0" if "seed" in accepted else ""
        made[accepted] = says(accepted, None, "Accepted: there is no such device.", given)
    return {**made, "synchronize": synchronize}
