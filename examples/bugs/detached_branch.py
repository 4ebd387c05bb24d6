# %% [markdown]
# # A layer that does not learn
#
# The loss goes down, but slowly: `model.stem` stays as it was made. Its weights do have gradients,
# so nothing complains. How large are they, and why?
#
# Run the cells, select `stem` in the graph, and press `w` (why).

# %%
import framework as torch
from framework import nn

torch.manual_seed(0)
x = torch.randn(256, 8)
y = torch.sin(x @ torch.randn(8, 1)) + 0.1 * torch.randn(256, 1)


# %%
class Net(nn.Module):
    """A stem, a deep branch, and a short one around it, as in a residual network."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.deep = nn.ModuleList(nn.Linear(16, 16) for _ in range(8))
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        stem = self.stem(x)
        short = stem.detach()  # to save memory, somebody thought
        deep = stem
        for layer in self.deep:
            deep = torch.sigmoid(layer(deep))
        return self.head(deep + torch.relu(short))


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

# %%
for step in range(1, 21):
    loss = ((model(x) - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 0:
        print(f"step {step:2}  loss {loss.item():.4f}")

# %% [markdown]
# ## Answer
#
# The short branch was there to carry the gradient past the eight sigmoids, each of which makes it
# some twenty times smaller. `detach()` cuts it, and only the long way is left. Without `.detach()`
# the stem learns.
