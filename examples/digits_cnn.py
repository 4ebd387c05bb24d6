# %% [markdown]
# # Digits with convolutions
#
# A convolution looks at small patches and uses the same weights everywhere, so that a stroke is
# found wherever it was drawn. Two rounds of convolution, normalization, ReLU and pooling turn 8x8
# pixels into 32 features at 2x2 places; a linear layer reads the digit from them.

# %%
from digits import load_digits

import framework as torch
from framework import nn
from framework.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x_train, y_train, x_test, y_test = load_digits()
x_train, x_test = x_train.unsqueeze(1), x_test.unsqueeze(1)  # one channel: [n, 1, 8, 8]

# %%
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 2 * 2, 10),
)
print(model)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters")

# %% [markdown]
# Adam chooses a step size for each weight, and the schedule raises the learning rate first and
# lowers it at the end: five times through the data are enough.
#
# Look at a convolution's weight in the inspector while it trains: each of its 3x3 patches is a
# little stroke detector in the making.

# %%
epochs = 5
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)
optimizer = torch.optim.Adam(model.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.01, total_steps=epochs * len(loader)
)


def accuracy():
    model.eval()  # batch normalization now uses the averages that it kept
    with torch.no_grad():
        guesses = model(x_test).argmax(1)
    model.train()
    return (guesses == y_test).float().mean().item()


for epoch in range(1, epochs + 1):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
    print(f"epoch {epoch}  loss {total / len(loader):.4f}  test accuracy {accuracy():.1%}")

print(f"test accuracy {accuracy():.4f}")
