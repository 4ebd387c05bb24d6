# %% [markdown]
# # A network that reads digits
#
# 1,797 handwritten digits of 8x8 pixels, and a network of two layers that learns to tell them
# apart. Run the cells one after the other: the graph of each training step appears beside them.

# %%
from digits import load_digits, picture

import framework as torch
from framework import nn
from framework.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x_train, y_train, x_test, y_test = load_digits()
print(f"{len(x_train)} images to learn from, {len(x_test)} to test on")
print(f"This is a {y_train[0].item()}:")
print(picture(x_train[0]))

# %% [markdown]
# The network takes the 64 pixels, makes 64 features of them, drops the negative ones, and gives a
# score to each of the ten digits. `model.2` is the last layer: a good place for a breakpoint.

# %%
model = nn.Sequential(
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
loss_of = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
loader = DataLoader(TensorDataset(x_train.flatten(1), y_train), batch_size=64, shuffle=True)
print(model)

# %% [markdown]
# One training step is three calls. `loss_of(model(x), y)` goes forward and builds the graph,
# `loss.backward()` walks it back to the parameters, `optimizer.step()` moves each parameter a
# little against its gradient. Pause anywhere in them and look around.


# %%
def accuracy():
    with torch.no_grad():
        guesses = model(x_test.flatten(1)).argmax(1)
    return (guesses == y_test).float().mean().item()


for epoch in range(1, 13):
    total = 0.0
    for x, y in loader:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 3 == 0:
        print(f"epoch {epoch:2}  loss {total / len(loader):.4f}  test accuracy {accuracy():.1%}")

# %% [markdown]
# Which digits does it still get wrong?

# %%
guesses = model(x_test.flatten(1)).argmax(1)
wrong = (guesses != y_test).nonzero().flatten().tolist()
print(f"{len(wrong)} of {len(x_test)} are wrong; the first of them:")
for i in wrong[:1]:
    print(f"a {y_test[i].item()}, taken for a {guesses[i].item()}")
    print(picture(x_test[i]))
print(f"test accuracy {accuracy():.4f}")
