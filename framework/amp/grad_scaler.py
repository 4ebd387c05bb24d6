"""`GradScaler`: keep small gradients of float16 from becoming zero."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from framework.core.modes import no_grad
from framework.device import CPU, cuda_problem
from framework.dtypes import float32, int32
from framework.kernels import cuda, module_of
from framework.kernels.cuda import optimizers
from framework.ops.creation import full
from framework.tensor import Tensor
from framework.trace import records

__all__ = ["GradScaler", "OptState"]


class OptState:
    """How far an optimizer has come in this iteration: ready, unscaled, stepped.

    >>> from framework.amp.grad_scaler import OptState
    >>> OptState.READY < OptState.UNSCALED < OptState.STEPPED
    True
    """

    READY, UNSCALED, STEPPED = 0, 1, 2


def _fresh() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


def _unscale(arrays: list[Any], scale: Any, found: Any, on_device: bool) -> None:
    """Divide arrays of one device in place; ``found`` is 1 then if an element is not finite.

    On a real device nothing waits for that.
    """
    rest: list[Any] = []
    kinds: dict[Any, list[Any]] = {}
    for data in arrays:
        own = (
            on_device and data.flags.c_contiguous and scale.dtype == np.float32 and cuda.ready(data)
        )
        (kinds.setdefault(data.dtype, []) if own else rest).append(data)
    for same in kinds.values():
        optimizers.unscale(same, scale, found)
    xp = module_of(scale)
    inverse = 1.0 / scale.astype(np.float64)
    for data in rest:
        bad = ~xp.isfinite(data).all()
        data *= inverse.astype(data.dtype)
        xp.maximum(found, bad.astype(found.dtype), out=found)


def _bad(state: dict[str, Any]) -> bool:
    """Whether a gradient of an optimizer was infinite or NaN: `step` has asked already."""
    known = state.get("bad")
    if known is not None:
        return bool(known)
    return any(v.item() for v in state["found_inf_per_device"].values())


class GradScaler:
    """Scales the loss up before ``backward``, gradients down before the step, and skips bad steps.

    The scale halves whenever a gradient is infinite or NaN, and doubles after ``growth_interval``
    steps without.

    Scales tensors of any shape and float dtype; the scale is a float32 number. AssertionError for a
    growth factor of 1 or less, a backoff factor of 1 or more, and for a step or an update before
    anything was scaled; RuntimeError for gradients that are unscaled twice; ValueError in `scale`
    for what is no tensor. Micikevicius et al., "Mixed precision training", ICLR 2018.

    >>> import framework as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.5)
    >>> scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    >>> scaler.scale((w * 2).sum()).backward()
    >>> _ = scaler.step(optimizer)
    >>> scaler.update()
    >>> w
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0,
        backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        self._device = device
        self._enabled = enabled
        if device == "cuda" and enabled and cuda_problem():
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if self._enabled:
            if growth_factor <= 1.0:
                raise AssertionError("The growth factor must be > 1.0.")
            if backoff_factor >= 1.0:
                raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        self._scale: Tensor | None = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._init_growth_tracker = 0
        self._growth_tracker: Tensor | None = None
        self._good: tuple[Any, int, int] = None, 0, 0  # the tracker, its version, and its number
        self._states: dict[int, dict[str, Any]] = {}

    def _lazy(self, device: Any) -> Tensor:
        if self._scale is None:
            self._scale = full((), self._init_scale, dtype=float32, device=device)
            self._growth_tracker = full((), 0, dtype=int32, device=device)
            self._count(self._init_growth_tracker)
        return self._scale

    def _checked(self, name: str) -> Tensor:
        fix = (
            "This may indicate your script did not use scaler.scale(loss or outputs) earlier in "
            "the iteration."
        )
        if self._scale is None:
            raise AssertionError(f"Attempted {name} but _scale is None.  {fix}")
        return self._scale

    def _state(self, optimizer: Any) -> dict[str, Any]:
        return self._states.setdefault(id(optimizer), _fresh())

    def scale(self, outputs: Any) -> Any:
        """A tensor, or a nested sequence of them, times the scale.

        Any shape, float dtypes. ValueError for what is no tensor.

        >>> import framework as torch
        >>> torch.amp.GradScaler("cpu", init_scale=4.0).scale(torch.ones(2))
        tensor([4., 4.])
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            factor = self._lazy(outputs.device).to(outputs.device)
            scaled = outputs * factor
            if isinstance(scaled, Tensor) and scaled._edge.__class__ is tuple:
                records.scales[scaled._edge[0]] = factor._data
            if outputs.ndim == 0 and isinstance(scaled, Tensor):  # a trace tells the loss, not this
                scaled.__dict__["_loss"] = outputs._data, scaled._version
            return scaled
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(x) for x in outputs])
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the optimizer's gradients by the scale, once: to clip them, for example.

        Raises:
            RuntimeError: called twice since `update`, or after `step`.
            ValueError: a gradient is in float16.

        >>> import framework as torch
        >>> w = torch.ones(1, requires_grad=True)
        >>> optimizer, scaler = torch.optim.SGD([w], lr=0.5), torch.amp.GradScaler("cpu")
        >>> scaler.scale(3 * w).backward()
        >>> scaler.unscale_(optimizer); w.grad
        tensor([3.])
        """
        if not self._enabled:
            return
        scale = self._checked("unscale_")
        state = self._state(optimizer)
        if state["stage"] == OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] == OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        found: dict[Any, Tensor] = {}
        gathered: dict[Any, list[Any]] = {}
        for group in optimizer.param_groups:
            for param in group["params"]:
                grad = param.grad
                if grad is None:
                    continue
                if grad.dtype.name == "float16":
                    raise ValueError("Attempting to unscale FP16 gradients.")
                data = grad._data.values if grad.is_sparse else grad._data
                gathered.setdefault(grad.device, []).append(data)
        for device, arrays in gathered.items():
            found[device] = full((), 0.0, dtype=float32, device=device)
            _unscale(arrays, scale.to(device)._data, found[device]._data, device is not CPU)
        state["found_inf_per_device"] = found
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step(*args)`` with unscaled gradients, unless one is infinite or NaN.

        Returns:
            What the optimizer's step returns, or None if it was skipped.

        Raises: AssertionError before anything was scaled and where no parameter has a gradient;
        RuntimeError when called twice since `update`, or with a closure.

        >>> import framework as torch
        >>> w = torch.ones(1, requires_grad=True)
        >>> optimizer, scaler = torch.optim.SGD([w], lr=0.5), torch.amp.GradScaler("cpu")
        >>> scaler.scale(w * float("inf")).backward()
        >>> scaler.step(optimizer); w.item()
        1.0
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._checked("step")
        state = self._state(optimizer)
        if state["stage"] == OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] == OptState.READY:
            self.unscale_(optimizer)
        found = state["found_inf_per_device"]
        if not found:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None
        bad = state["bad"] = any(v.item() for v in found.values())  # the one wait of a step
        if not bad:
            result = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale: Any = None) -> None:
        """Grow the scale or back it off, after the steps of all optimizers; or set a new one.

        AssertionError before anything was scaled and without a step since the last update.

        >>> import framework as torch
        >>> w = torch.ones(1, requires_grad=True)
        >>> optimizer = torch.optim.SGD([w], lr=0.5)
        >>> scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        >>> scaler.scale(w * float("inf")).backward()
        >>> scaler.step(optimizer); scaler.update(); scaler.get_scale()
        2.0
        """
        if not self._enabled:
            return
        scale = self._checked("update")
        assert self._growth_tracker is not None
        if new_scale is not None:
            scale.fill_(new_scale.item() if isinstance(new_scale, Tensor) else new_scale)
        else:
            states = [s for s in self._states.values() if s["found_inf_per_device"]]
            if not states:
                raise AssertionError("No inf checks were recorded prior to update.")
            if any(_bad(s) for s in states):
                with no_grad():
                    scale.mul_(self._backoff_factor)
                self._count(0)
            else:
                good = self._get_growth_tracker() + 1
                if good == self._growth_interval:
                    wider = np.float32(scale.item()) * np.float32(self._growth_factor)
                    if np.isfinite(wider):
                        scale.fill_(float(wider))
                    good = 0
                self._count(good)
        self._states = {}

    def get_scale(self) -> float:
        """The scale; 1 if disabled.

        >>> import framework as torch
        >>> torch.amp.GradScaler("cpu", init_scale=4.0).get_scale()
        4.0
        """
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after `get_growth_interval` good steps.

        >>> import framework as torch
        >>> torch.amp.GradScaler("cpu").get_growth_factor()
        2.0
        """
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set what `get_growth_factor` returns, from the next `update` on.

        >>> import framework as torch
        >>> scaler = torch.amp.GradScaler("cpu")
        >>> scaler.set_growth_factor(4.0); scaler.get_growth_factor()
        4.0
        """
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a step with infinite or NaN gradients.

        >>> import framework as torch
        >>> torch.amp.GradScaler("cpu").get_backoff_factor()
        0.5
        """
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set what `get_backoff_factor` returns, from the next `update` on.

        >>> import framework as torch
        >>> scaler = torch.amp.GradScaler("cpu")
        >>> scaler.set_backoff_factor(0.25); scaler.get_backoff_factor()
        0.25
        """
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row let the scale grow.

        >>> import framework as torch
        >>> torch.amp.GradScaler("cpu").get_growth_interval()
        2000
        """
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set what `get_growth_interval` returns, from the next `update` on.

        >>> import framework as torch
        >>> scaler = torch.amp.GradScaler("cpu")
        >>> scaler.set_growth_interval(100); scaler.get_growth_interval()
        100
        """
        self._growth_interval = new_interval

    def _count(self, good: int) -> None:
        """Note the good steps in a row; known here too, so that a device is not asked for them."""
        assert self._growth_tracker is not None
        self._growth_tracker.fill_(good)
        self._good = self._growth_tracker, self._growth_tracker._version, good

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        tracker = self._growth_tracker
        if tracker is None:
            return self._init_growth_tracker
        known, version, good = self._good
        if known is tracker and version == tracker._version:
            return good
        return int(tracker.item())

    def is_enabled(self) -> bool:
        """Whether it does anything.

        >>> import framework as torch
        >>> torch.amp.GradScaler("cpu", enabled=False).is_enabled()
        False
        """
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale and the counts; empty if disabled.

        >>> import framework as torch
        >>> torch.amp.GradScaler("cpu", init_scale=4.0).state_dict()["scale"]
        4.0
        """
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict`.

        Raises:
            RuntimeError: it is empty: of a disabled scaler.

        >>> import framework as torch
        >>> scaler = torch.amp.GradScaler("cpu")
        >>> scaler.load_state_dict(torch.amp.GradScaler("cpu", init_scale=4.0).state_dict())
        >>> scaler.get_scale()
        4.0
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._growth_tracker is not None:
            self._growth_tracker.fill_(state_dict["_growth_tracker"])

    def _check_inf_per_device(self, optimizer: Any) -> dict[Any, Tensor]:
        return self._found_inf_per_device(optimizer)

    def _found_inf_per_device(self, optimizer: Any) -> dict[Any, Tensor]:
        return self._state(optimizer)["found_inf_per_device"]
