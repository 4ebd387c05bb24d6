# %% [markdown]
# # The hunt for a NaN: an exercise
#
# This program has a bug. It trains for a while as it should, and then the loss is NaN: *not a
# number*, the result of an operation that has none. From then on everything is NaN, and nothing
# says where it began.
#
# Run the cells and see it happen. Then find the first operation that made a NaN, and why: there is
# a hint after the training loop.

# %%
from digits import load_digits

import framework as torch
from framework import nn
from framework.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)
x_train, y_train, x_test, y_test = load_digits()
x_train, x_test = x_train.flatten(1), x_test.flatten(1)

# Some pixels at the edge are blank in nearly all of the images: leave them out.
used = ((x_train > 0).float().mean(0) > 0.05).nonzero().flatten()
x_train, x_test = x_train[:, used], x_test[:, used]
print(f"{len(used)} of 64 pixels are used")


# %%
class Standardize(nn.Module):
    """Gives every feature mean 0 and variance 1, so that all of them count alike."""

    def forward(self, x):
        centered = x - x.mean(0)
        variance = (centered * centered).mean(0)
        return centered / variance.sqrt()


class Gate(nn.Module):
    """Weighs each feature with a number between 0 and 1 that depends on all of them."""

    def __init__(self, features):
        super().__init__()
        self.weigh = nn.Linear(features, features)

    def forward(self, x):
        return x * torch.sigmoid(self.weigh(x))


model = nn.Sequential(
    Standardize(),
    nn.Linear(len(used), 48),
    nn.ReLU(),
    Gate(48),
    nn.Linear(48, 10),
    nn.LogSoftmax(dim=1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
data = TensorDataset(x_train, y_train)
loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True)

# %%
step = 0
for _ in range(4):
    for x, y in loader:
        step += 1
        loss = nn.functional.nll_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 6 == 0:
            print(f"step {step:3}  loss {loss.item():.4f}")

# %% [markdown]
# ## Hint
#
# A NaN spreads: after one training step it is in the loss, in every gradient, and in every
# parameter. So do not look at the end of it, but at its beginning. Set a breakpoint on the
# condition `nan`, restart, and run again; or, in a terminal:
#
#     tapebook run examples/nan_hunt.py --break nan
#
# The program stops right after the first operation whose result has a NaN, and names the module and
# the line. Look at its inputs: they are still finite. Which of their columns becomes NaN? What do
# the 64 images of this batch have in common there?

# %% [markdown]
# ## Answer
#
# Do not read on before you have tried.
#
# Of the pixels that are left, some are still blank in most of the images. When all the images of a
# batch happen to be blank in one of them, its variance is 0, and the last line of `Standardize`
# divides 0 by 0. That is why it needs many steps to show, and why it depends on the order of the
# data. Layers that normalize add a small number below the root for this reason:
#
#     return centered / (variance + 1e-5).sqrt()
#
# Try it: the loss then goes down to the end.
