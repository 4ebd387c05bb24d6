"""What autograd refuses, in the words of PyTorch: custom views, hooks' results, versions."""

from __future__ import annotations

import warnings

import pytest

import framework as torch


class Same(torch.autograd.Function):
    """Returns what the function that it is given makes of x."""

    @staticmethod
    def forward(ctx, x, call):
        return call(x)

    @staticmethod
    def backward(ctx, *grads):
        return grads[0].reshape(2, 2) * 3, None


def leaf():
    return torch.ones(2, 2, requires_grad=True)


ONE = (
    "Output 0 of Same is a view and {}. This view was created inside a custom Function (or because "
    "an input was returned as-is) and the autograd logic to handle view+inplace would override the "
    "custom backward associated with the custom Function, leading to incorrect gradients. This "
    "behavior is forbidden. You can fix this by cloning the output of the custom Function."
)
SEVERAL = (
    "Output {} of {} is a view and is being modified inplace. This view is the output of a "
    "function that returns multiple views. Such functions do not allow the output views to be "
    "modified inplace. You should replace the inplace operation by an out-of-place one."
)


@pytest.mark.parametrize(
    "call", [lambda x: x, lambda x: x.view(-1), lambda x: x.t(), lambda x: (x * 2).view(-1)]
)
@pytest.mark.parametrize("times", [1, 2])
def test_a_view_that_a_custom_function_returns_is_not_written(call, times):
    x = leaf() if times == 1 else leaf() * 1
    y = Same.apply(x, call)
    assert y._is_view() and y.grad_fn.name() == "SameBackward"
    with pytest.raises(RuntimeError) as caught:
        y.mul_(2)
    assert str(caught.value) == ONE.format("is being modified inplace")
    (g,) = torch.autograd.grad(y.sum(), x)
    assert g.tolist() == [[3, 3], [3, 3]]


def test_nor_its_base():
    x = leaf() * 1
    y = Same.apply(x, lambda x: x.view(-1))
    assert y._base is x
    x.mul_(2)
    with pytest.raises(RuntimeError) as caught:
        y * 1
    how = "its base or another view of its base has been modified inplace"
    assert str(caught.value) == ONE.format(how)


def test_a_clone_of_it_is_written():
    x = leaf()
    Same.apply(x, lambda x: x).clone().mul_(2).sum().backward()
    assert x.grad.tolist() == [[6, 6], [6, 6]]


def test_several_views_of_one_function():
    y, z = Same.apply(leaf(), lambda x: (x[0], x * 2))
    with pytest.raises(RuntimeError) as caught:
        y.mul_(2)
    assert str(caught.value) == SEVERAL.format(0, "Same")
    z.mul_(2)  # is no view
    part = (leaf() * 1).unbind()[0]
    with pytest.raises(RuntimeError) as caught:
        part.mul_(2)
    assert str(caught.value) == SEVERAL.format(0, "Unbind")


def test_what_hooks_return():
    for wrong in (3, "text", (1,)):
        x = leaf()
        x.register_hook(lambda g, wrong=wrong: wrong)
        with pytest.raises(TypeError) as caught:
            (x * 2).sum().backward()
        words = f"expected Variable, but hook returned '{type(wrong).__name__}'"
        assert str(caught.value) == words
        x = leaf()
        x.register_post_accumulate_grad_hook(lambda p, wrong=wrong: wrong)
        with pytest.raises(TypeError) as caught:
            (x * 2).sum().backward()
        assert str(caught.value) == words
    x = leaf()
    x.register_post_accumulate_grad_hook(lambda p: p.grad)
    with pytest.raises(RuntimeError) as caught:
        (x * 2).sum().backward()
    assert str(caught.value) == "Tensor post accumulate grad hooks should return None."


def test_what_was_written_is_named_without_backward():
    y = leaf().exp()
    y.add_(1)
    words = (
        "one of the variables needed for gradient computation has been modified by an inplace "
        "operation: [torch.FloatTensor [2, 2]], which is output 0 of Exp, is at version 1; "
        "expected version 0 instead. Hint: enable anomaly detection to find the operation that "
        "failed to compute its gradient, with torch.autograd.set_detect_anomaly(True, "
        "check_nan=False)."
    )
    with pytest.raises(RuntimeError) as caught:
        y.sum().backward()
    assert str(caught.value).startswith(words)
    assert "saved by ExpBackward0" in str(caught.value)


def test_what_backward_returns():
    class Three(Same):
        @staticmethod
        def backward(ctx, g):
            return 3, None

    with pytest.raises(RuntimeError) as caught:
        Three.apply(leaf(), lambda x: x * 1).sum().backward()
    assert str(caught.value).startswith("expected Variable or None (got int)")


def test_custom_functions_are_not_instantiated():
    with pytest.warns(DeprecationWarning, match="should not be instantiated. Methods on autograd"):
        made = Same()
    with pytest.raises(RuntimeError, match="Please use new-style autograd function with static"):
        made(leaf())


def test_detect_anomaly_says_that_it_costs():
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled. This mode will"):
        mode = torch.autograd.detect_anomaly()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with mode:
            assert torch.is_anomaly_enabled()
        torch.autograd.set_detect_anomaly(False)


def test_a_gradient_that_was_waived_after_the_graph_was_made_is_not_kept():
    x, w, log = leaf(), leaf(), []
    x.register_hook(lambda g: log.append("hook"))
    x.register_post_accumulate_grad_hook(lambda p: log.append("after"))
    y = (x * w).sum()
    x.requires_grad_(False)
    y.backward()
    assert x.grad is None and w.grad is not None
    assert log == ["hook", "after"]


def test_a_view_of_a_leaf_is_not_written_after_the_leaf_was_detached_in_place():
    for x in (leaf(), leaf() * 1):
        v = x[0]
        x.detach_()
        with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad is"):
            v.add_(1)


def test_the_gradient_of_a_write_to_an_expanded_view_is_refused():
    x = torch.ones(1, requires_grad=True) * 1
    x.expand(3).fill_(2)
    with pytest.raises(RuntimeError, match="unsupported operation: more than one element of the"):
        x.sum().backward()


def test_an_expanded_tensor_may_be_written_onto_itself():
    x = torch.ones(1).expand(3)
    assert x.copy_(x) is x
    x[...] = x
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        x[:] = x


def test_backward_with_create_graph_says_that_it_makes_a_cycle():
    torch.autograd._warn_of_cycle.cache_clear()
    with pytest.warns(UserWarning, match="will create a reference cycle between the parameter"):
        leaf().sum().backward(create_graph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        leaf().sum().backward(create_graph=True)
