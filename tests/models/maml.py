"""MAML on sine waves: one step of training inside another, by autograd or by func.grad and vmap."""

import math
from functools import partial

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(1, 20)
        self.fc2 = nn.Linear(20, 20)
        self.fc3 = nn.Linear(20, 1)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def sample_tasks(step, num_tasks=4, shots=10):
    amplitude = torch.linspace(0.5, 2.0, num_tasks).view(-1, 1, 1)
    phase = (torch.arange(num_tasks) * math.pi / num_tasks).view(-1, 1, 1) + 0.1 * (step % 3)
    x1 = torch.linspace(-4, 4, shots).view(1, -1, 1).expand(num_tasks, -1, -1)
    x2 = x1 + 0.3
    return x1, amplitude * torch.sin(x1 + phase), x2, amplitude * torch.sin(x2 + phase)


def task_loss(net, params, transform, x1, y1, x2, y2, alpha=0.05):
    def inner(params):
        return F.mse_loss(functional_call(net, params, (x1,)), y1)

    if transform:
        grads = grad(inner)(params)
    else:
        grads = torch.autograd.grad(inner(params), params.values(), create_graph=True)
        grads = dict(zip(params, grads))
    adapted = {k: params[k] - alpha * g for k, g in grads.items()}
    return F.mse_loss(functional_call(net, adapted, (x2,)), y2)


def build():
    return Net()


def train(model, steps=20, transform=False):
    params = dict(model.named_parameters())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for step in range(steps):
        tasks = sample_tasks(step)
        one = partial(task_loss, model, params, transform)
        if transform:
            loss = vmap(one)(*tasks).mean()
        else:
            loss = torch.stack([one(*task) for task in zip(*tasks)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    torch.manual_seed(0)
    print(train(build(), 100)[-1])
