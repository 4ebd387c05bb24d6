"""An actor-critic that balances a pole, on a simulation of a few lines."""

import math
from collections import namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

SavedAction = namedtuple("SavedAction", ["log_prob", "value"])


class CartPole:
    """The classical cart and pole (Barto, Sutton and Anderson, 1983), in Euler steps of 0.02 s."""

    def reset(self, seed):
        self.state = [0.03 * math.sin(seed * k + k) for k in range(1, 5)]
        return list(self.state)

    def step(self, action):
        x, v, angle, w = self.state
        force = 10.0 if action == 1 else -10.0
        cos, sin = math.cos(angle), math.sin(angle)
        push = (force + 0.05 * w * w * sin) / 1.1
        turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1))
        pull = push - 0.05 * turn * cos / 1.1
        self.state = [x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * w, w + 0.02 * turn]
        done = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.2095
        return list(self.state), 1.0, done


class Policy(nn.Module):
    def __init__(self):
        super(Policy, self).__init__()
        self.affine1 = nn.Linear(4, 32)
        self.action_head = nn.Linear(32, 2)
        self.value_head = nn.Linear(32, 1)
        self.saved_actions = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        action_prob = F.softmax(self.action_head(x), dim=-1)
        return action_prob, self.value_head(x)


def select_action(model, state, choose):
    state = torch.tensor(state, dtype=torch.float)
    probs, state_value = model(state)
    m = Categorical(probs)
    action = m.sample() if choose is None else torch.tensor(choose)
    model.saved_actions.append(SavedAction(m.log_prob(action), state_value))
    return action.item()


def finish_episode(model, optimizer, gamma=0.99):
    R = 0
    policy_losses, value_losses, returns = [], [], []
    for r in model.rewards[::-1]:
        R = r + gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-8)
    for (log_prob, value), R in zip(model.saved_actions, returns):
        advantage = R - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss.backward()
    optimizer.step()
    del model.rewards[:]
    del model.saved_actions[:]
    return loss.item()


def build():
    return Policy()


def train(model, steps=6, sample=False):
    """Losses of some episodes; without ``sample`` the actions follow a fixed pattern."""
    env = CartPole()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    losses, lengths = [], []
    for episode in range(steps):
        state = env.reset(episode)
        for t in range(200):
            choose = None if sample else (t + episode) // (1 + episode % 3) % 2
            action = select_action(model, state, choose)
            state, reward, done = env.step(action)
            model.rewards.append(reward)
            if done:
                break
        lengths.append(t + 1)
        losses.append(finish_episode(model, optimizer))
    return lengths if sample else losses


if __name__ == "__main__":
    torch.manual_seed(543)
    lengths = train(build(), 150, sample=True)
    print(sum(lengths[:20]) / 20, sum(lengths[-20:]) / 20)
