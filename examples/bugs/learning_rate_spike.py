# %% [markdown]
# # Two runs that should be equal
#
# The same data, the same seed, the same model; one run ends with a loss that is much worse. Run it
# twice, record both, and let Tapebook say where they part:
#
#     tapebook run examples/bugs/learning_rate_spike.py --record a.tape
#     tapebook run examples/bugs/learning_rate_spike.py --record b.tape -- --spike
#     tapebook diff a.tape b.tape
#
# On the screen: open `b.tape`, press `D`, and give `a.tape`.

# %%
import sys

import framework as torch
from framework import nn

torch.manual_seed(0)
x = torch.rand(512, 1) * 6 - 3
y = torch.sin(x)
model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


# %%
def rate(step):
    """The learning rate of a step: it falls slowly."""
    falling = 0.05 * 0.98**step
    if "--spike" in sys.argv and step == 17:
        falling *= 200  # a schedule that was put together of two does not fit at the seam
    return falling


# %%
for step in range(1, 31):
    batch = slice((step - 1) % 8 * 64, (step - 1) % 8 * 64 + 64)
    loss = ((model(x[batch]) - y[batch]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] = rate(step)
    optimizer.step()
    if step % 6 == 0:
        print(f"step {step:2}  loss {loss.item():.5f}")

# %% [markdown]
# ## Answer
#
# Up to the gradients of step 17 both runs agree to the last bit. The first thing that differs is
# the update of the first parameter in that step: of equal values, gradients and momentum it is
# larger in the second run. So it is the optimizer's setting: the learning rate.
