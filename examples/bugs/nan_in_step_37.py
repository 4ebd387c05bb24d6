# %% [markdown]
# # A NaN in step 37
#
# A classifier with a loss that was written by hand. It learns well; then, in one step of forty, the
# loss is NaN, and every parameter with it. Where does it begin, and with which of the samples?
#
# Run the cells, then press `w` (why).

# %%
import framework as torch
from framework import nn

torch.manual_seed(0)
centers = 3 * torch.randn(4, 10)  # four kinds of measurements, ten numbers each
kinds = torch.randint(0, 4, (40 * 16,))
samples = centers[kinds] + torch.randn(40 * 16, 10)
samples[36 * 16 + 5] *= 1000  # one of them was taken in other units
onehot = torch.eye(4)[kinds]


# %%
def loss_of(scores, target):
    """Cross entropy: minus the logarithm of the probability of the true class."""
    p = torch.softmax(scores, 1)
    return -(target * torch.log(p)).sum(1).mean()


model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

# %%
for step in range(1, 41):
    batch = slice((step - 1) * 16, step * 16)
    loss = loss_of(model(samples[batch]), onehot[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step in (1, 10, 20, 30, 36, 37, 40):
        print(f"step {step:2}  loss {loss.item():.4f}")

# %% [markdown]
# ## Answer
#
# `softmax` of a sample a thousand times too large is exactly 0 for three of the classes, and
# `log(0)` is -inf. Where the target is 0 as well, `0 * -inf` is NaN. `torch.log_softmax(scores, 1)`
# never takes the logarithm of 0; and the sample should be put right.
