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

    def make(name: str) -> Callable[..., NoReturn]:
        def refuse(*args: Any, **options: Any) -> NoReturn:
            raise NotImplementedError(f"{module}.{name}: {why}")

        refuse.__name__ = refuse.__qualname__ = name
        refuse.__doc__ = "Refused; the error says why."
        return refuse

    return {name: make(name) for name in names.split()}


def no_device(name: str) -> dict[str, Callable[..., Any]]:
    """The functions of a kind of device that is not here, such as ``mps``.

    >>> mps = no_device("mps")
    >>> mps["is_available"](), mps["device_count"](), mps["manual_seed"](0)
    (False, 0, None)
    """

    def says(value: Any, words: str) -> Callable[..., Any]:
        def answer(*args: Any, **options: Any) -> Any:
            return value

        answer.__doc__ = words
        return answer

    def synchronize(device: Any = None) -> NoReturn:
        """Raises AssertionError: there is nothing to wait for."""
        raise AssertionError(f"Torch not compiled with {name.upper()} enabled")

    asked = dict.fromkeys(("is_available", "is_initialized", "is_bf16_supported"), False)
    made = {question: says(answer, "False.") for question, answer in asked.items()}
    made["device_count"] = says(0, "0.")
    for accepted in ("empty_cache", "manual_seed", "manual_seed_all"):
        made[accepted] = says(None, "Accepted: there is no such device.")
    return {**made, "synchronize": synchronize}
