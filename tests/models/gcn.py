"""A graph convolution network on a small graph: a sparse adjacency matrix, or index_add."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parameter import Parameter


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super(GraphConvolution, self).__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        if bias:
            self.bias = Parameter(torch.FloatTensor(out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        if self.bias is not None:
            self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        if adj.is_sparse:
            output = torch.spmm(adj, support)
        else:
            source, target = adj
            output = torch.zeros_like(support).index_add(0, target, support[source])
        return output + self.bias if self.bias is not None else output

    def __repr__(self):
        return f"{self.__class__.__name__} ({self.in_features} -> {self.out_features})"


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super(GCN, self).__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        x = self.gc2(x, adj)
        return F.log_softmax(x, dim=1)


def graph(n=24):
    """Two rings with a bridge, self loops, and features that say a little of the ring."""
    half = n // 2
    edges = [(i, i) for i in range(n)]
    for ring in (range(half), range(half, n)):
        edges += [(i, ring[(k + 1) % half]) for k, i in enumerate(ring)]
    edges += [(b, a) for a, b in edges if a != b] + [(0, half), (half, 0)]
    index = torch.tensor(edges, dtype=torch.long).t()
    labels = (torch.arange(n) >= half).long()
    features = torch.sin(torch.arange(n * 6).float() * 3.7).view(n, 6)
    features[:, 0] += labels.float() * 0.8
    degree = torch.zeros(n).scatter_add_(0, index[0], torch.ones(index.size(1)))
    values = 1.0 / degree[index[0]]
    return features, labels, index, torch.sparse_coo_tensor(index, values, (n, n)).coalesce()


def build():
    return GCN(6, 8, 2, 0.0)


def train(model, steps=20, sparse=True):
    features, labels, index, adj = graph()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=5e-4)
    idx_train = torch.LongTensor(range(0, 24, 2))
    losses = []
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        output = model(features, adj if sparse else index)
        loss_train = F.nll_loss(output[idx_train], labels[idx_train])
        loss_train.backward()
        optimizer.step()
        losses.append(loss_train.item())
    return losses


def accuracy(model):
    model.eval()
    features, labels, _, adj = graph()
    preds = model(features, adj).max(1)[1].type_as(labels)
    return preds.eq(labels).double().sum().item() / len(labels)


if __name__ == "__main__":
    torch.manual_seed(42)
    model = build()
    print(train(model, 80)[-1], accuracy(model))
