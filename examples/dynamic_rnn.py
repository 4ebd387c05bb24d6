# %% [markdown]
# # A graph that differs for every input
#
# Here a digit is not a picture but a *sequence*: the horizontal strokes of ink in it, from top to
# bottom. A 1 has eight or nine of them, a 0 up to fourteen. A recurrent network reads one stroke at
# a time, so the graph is as long as the sequence: pause in two training steps and compare.

# %%
from digits import load_digits, picture

import framework as torch
from framework import nn

torch.manual_seed(0)
x_train, y_train, x_test, y_test = load_digits()


def strokes(image, faint=0.2):
    """The runs of ink in an image, as rows of (height, left end, right end, darkness)."""
    found = []
    for r, row in enumerate(image.tolist()):
        c = 0
        while c < 8:
            begin = c
            while c < 8 and row[c] > faint:
                c += 1
            if c > begin:
                darkness = sum(row[begin:c]) / (c - begin)
                found.append([r / 4 - 1, begin / 4 - 1, c / 4 - 1, darkness])
            c = max(c, begin + 1)
    return found


train = [(strokes(x), y) for x, y in zip(x_train, y_train.tolist())]
test = [(strokes(x), y) for x, y in zip(x_test, y_test.tolist())]
lengths = [len(s) for s, _ in train]
print(f"from {min(lengths)} to {max(lengths)} strokes, on average {sum(lengths) / len(train):.1f}")
print(f"This {train[0][1]} has {lengths[0]}:")
print(picture(x_train[0]))

# %% [markdown]
# The network is a loop in Python. There is no padding and no mask: the loop runs as often as there
# are strokes, and every turn adds another GRU cell to the graph.


# %%
class Reader(nn.Module):
    def __init__(self, features=48):
        super().__init__()
        self.features = features
        self.cell = nn.GRUCell(4, features)
        self.score = nn.Linear(features, 10)

    def forward(self, sequence):
        """Scores [batch, 10] for sequences [batch, length, 4]."""
        state = torch.zeros(sequence.shape[0], self.features)
        for t in range(sequence.shape[1]):
            state = self.cell(sequence[:, t], state)
        return self.score(state)


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)


def batches(samples, size=32):
    """Sequences of one length go together; the lengths come in a random order."""
    by_length = {}
    for i in torch.randperm(len(samples)).tolist():
        sequence, label = samples[i]
        by_length.setdefault(len(sequence), []).append((sequence, label))
    made = []
    for group in by_length.values():
        for k in range(0, len(group), size):
            xs, ys = zip(*group[k : k + size])
            made.append((torch.tensor(xs), torch.tensor(ys)))
    return [made[i] for i in torch.randperm(len(made)).tolist()]


# %%
for epoch in range(1, 13):
    total = 0.0
    for x, y in batches(train):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(y)
    if epoch == 9:
        for group in optimizer.param_groups:
            group["lr"] /= 5
    if epoch % 3 == 0:
        print(f"epoch {epoch:2}  loss {total / len(train):.4f}")

# %% [markdown]
# A trained reader need not read to the end. Here it stops as soon as it is sure enough, which is a
# decision of Python on a value of the graph: the next input may take another way. Being content
# with less saves strokes and costs errors.


# %%
def read(sequence, sure):
    """(digit, strokes that were read)"""
    state = torch.zeros(1, model.features)
    count = 0
    for stroke in torch.tensor(sequence):
        state = model.cell(stroke.unsqueeze(0), state)
        chance, digit = model.score(state).softmax(1).max(1)
        count += 1
        if chance.item() > sure:
            break
    return digit.item(), count


with torch.no_grad():
    for sure in (0.9, 0.99, 0.999):
        results = [read(s, sure) for s, _ in test[:100]]
        hits = sum(digit == label for (digit, _), (_, label) in zip(results, test))
        spared = sum(len(s) - t for (_, t), (s, _) in zip(results, test))
        print(f"stopping at {sure:.1%}: {hits} of 100 right, {spared} strokes not read")
    right = sum((model(x).argmax(1) == y).sum().item() for x, y in batches(test))
print(f"test accuracy {right / len(test):.4f}")
