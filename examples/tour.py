# %% [markdown]
# # A tour of Tapebook
#
# Ten minutes, three bugs. Left are cells, in the middle the graph of a training step, right the
# inspector (below 100 columns it takes the place of the cells, with `3`), below the time line.
# `1` to `6` go from pane to pane, `m` zooms one and back, `F1` says what the pane is for and what
# its keys do, `ctrl+q` leaves.
#
# Press `F6`: all cells run. While they do, the graph grows.

# %%
import framework as torch
from framework import nn

torch.manual_seed(0)
x = torch.rand(256, 2) * 2 - 1
y = (x[:, :1] * x[:, 1:] > 0).float()

# %%
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1), nn.Sigmoid())
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
loss_of = nn.BCELoss()

# %%
for step in range(1, 61):
    loss = loss_of(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:2}  loss {loss.item():.4f}")

# %% [markdown]
# ## Stop, step, look back
#
# `}` goes to the next cell and `{` to the one before, the arrows to a line.
#
# 1. Press `B`, type `grad model.0.weight norm > 0.001 step 3`, Enter: stop where this gradient is
#    that long, in step 3. The form shows the line that `tapebook run --break` takes for the same.
# 2. `F6` again. It stops **inside backward**, at the node that made the gradient: the inspector has
#    what came in and what went on.
# 3. `n` is the next op, `s` goes into one, `f` out, `l` on to the next source line, `+` to the end
#    of the step. Behind backward come the optimizer's updates, parameter by parameter.
# 4. `N` looks back, one op at a time, and every pane shows that moment. `end` is now again.
# 5. `[` and `]` go through the tensors of an op, `W` watches an expression: try `loss.item()`.
# 6. `c` runs on; `b` on a line or a row sets and removes a breakpoint.
#
# `g` shows backward, or both; `/` searches; `space` opens and closes a row; `S` is the model as a
# table; `E` exports the graph.

# %% [markdown]
# ## First hunt: a NaN
#
# `F3` opens another notebook, `up` and `down` go through those of this folder. Open
# `nan_in_step_37.py`: `F3`, `up`, Enter (and `o` if a cell still stands here). Its loss becomes NaN
# in one step of forty, and every parameter with it.
#
# `F6` runs it, and `w` asks why. The first row of the answer is where it began: `log` of a
# probability that is exactly 0, in step 37; the others lead from there through backward and the
# optimizer to what you see now. Enter goes to that moment. Keys: F3 ↑ ⏎ F6 w.
#
# Come back with `F3` (`tour.py`).

# %% [markdown]
# ## Second hunt: a layer that does not learn
#
# `F3`, and `down` to `detached_branch.py`, Enter. Nothing is NaN and nothing complains, yet the
# loss hardly falls.
#
# `F6`, `w`. A gradient is a million times smaller than the others; the answer says in which op it
# shrinks, and that the way around the deep branch is cut by a `detach()`, with its line.

# %% [markdown]
# ## Third hunt: two runs that should be equal
#
# `a.tape` and `b.tape` are recordings of two runs of `learning_rate_spike.py`. In a terminal they
# are made by
#
#     tapebook run learning_rate_spike.py --record a.tape
#     tapebook run learning_rate_spike.py --record b.tape -- --spike
#
# `F3`, `down` to `b.tape`, Enter. A recording has all that a live program has, but for running on.
# Then `D`, `down`, Enter: compare it with the other recording. Of 702 ops the first that
# differs is an update in step 17, of equal values and equal gradients: so it is the learning rate.

# %% [markdown]
# ## And then
#
# Your own program: `tapebook train.py`. One that runs already, or on another machine: `tapebook
# attach`. Without a screen: `tapebook run train.py --break nan`, or `--rules default` in CI.
# `docs/debugger.md` has everything that the debugger does, with an example each.
