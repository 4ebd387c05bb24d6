"""A variational autoencoder on small pictures."""

import torch
import torch.utils.data
from torch import nn, optim
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 40)
        self.fc21 = nn.Linear(40, 5)
        self.fc22 = nn.Linear(40, 5)
        self.fc3 = nn.Linear(5, 40)
        self.fc4 = nn.Linear(40, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar, eps=None):
        std = torch.exp(0.5 * logvar)
        if eps is None:
            eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x, eps=None):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar, eps)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    # 0.5 * sum(1 + log(sigma^2) - mu^2 - sigma^2)
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def build():
    return VAE()


def train(model, steps=15):
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    grid = torch.linspace(0, 6.28, 64)
    data = torch.stack([(torch.sin(grid * (1 + k % 3) + k) > 0).float() for k in range(32)])
    noise = torch.sin(torch.arange(32 * 5).float() * 12.9898).view(32, 5) * 1.5
    losses = []
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        recon, mu, logvar = model(data.view(-1, 1, 8, 8), noise)
        loss = loss_function(recon, data, mu, logvar)
        loss.backward()
        optimizer.step()
        losses.append(loss.item() / len(data))
    return losses


if __name__ == "__main__":
    torch.manual_seed(1)
    model = build()
    print(train(model, 60)[-1])
    with torch.no_grad():
        sample = model.decode(torch.randn(2, 5)).cpu()
        print(sample.view(2, 8, 8).round())
