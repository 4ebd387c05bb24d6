"""Transformer-XL: memories of earlier segments, relative positions, an adaptive softmax."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class PositionalEmbedding(nn.Module):
    def __init__(self, demb):
        super().__init__()
        inv_freq = 1 / (10000 ** (torch.arange(0.0, demb, 2.0) / demb))
        self.register_buffer("inv_freq", inv_freq, persistent=False)

    def forward(self, pos_seq):
        sinusoid_inp = torch.ger(pos_seq, self.inv_freq)
        return torch.cat([sinusoid_inp.sin(), sinusoid_inp.cos()], dim=-1)[:, None, :]


class RelMultiHeadAttn(nn.Module):
    def __init__(self, n_head, d_model, d_head):
        super().__init__()
        self.n_head, self.d_head = n_head, d_head
        self.qkv_net = nn.Linear(d_model, 3 * n_head * d_head, bias=False)
        self.r_net = nn.Linear(d_model, n_head * d_head, bias=False)
        self.o_net = nn.Linear(n_head * d_head, d_model, bias=False)
        self.layer_norm = nn.LayerNorm(d_model)
        self.scale = 1 / (d_head**0.5)

    def _rel_shift(self, x):
        zero_pad = torch.zeros((x.size(0), 1, *x.size()[2:]), device=x.device, dtype=x.dtype)
        x_padded = torch.cat([zero_pad, x], dim=1)
        x_padded = x_padded.view(x.size(1) + 1, x.size(0), *x.size()[2:])
        return x_padded[1:].view_as(x)

    def forward(self, w, r, r_w_bias, r_r_bias, attn_mask, mems=None):
        qlen, rlen, bsz = w.size(0), r.size(0), w.size(1)
        cat = w if mems is None else torch.cat([mems, w], 0)
        q, k, v = torch.chunk(self.qkv_net(cat), 3, dim=-1)
        q = q[-qlen:].view(qlen, bsz, self.n_head, self.d_head)
        k = k.view(-1, bsz, self.n_head, self.d_head)
        v = v.view(-1, bsz, self.n_head, self.d_head)
        r = self.r_net(r).view(rlen, self.n_head, self.d_head)
        AC = torch.einsum("ibnd,jbnd->ijbn", (q + r_w_bias, k))
        BD = self._rel_shift(torch.einsum("ibnd,jnd->ijbn", (q + r_r_bias, r)))
        attn_score = AC + BD
        attn_score.mul_(self.scale)
        attn_score = attn_score.masked_fill(attn_mask[:, :, :, None], -float("inf"))
        attn_prob = F.softmax(attn_score, dim=1)
        attn_vec = torch.einsum("ijbn,jbnd->ibnd", (attn_prob, v))
        attn_vec = attn_vec.contiguous().view(qlen, bsz, self.n_head * self.d_head)
        return self.layer_norm(w + self.o_net(attn_vec))


class MemTransformerLM(nn.Module):
    def __init__(self, n_token, n_layer, n_head, d_model, d_head, d_inner, mem_len, cutoffs):
        super().__init__()
        self.word_emb = nn.Embedding(n_token, d_model)
        self.pos_emb = PositionalEmbedding(d_model)
        self.mem_len = mem_len
        self.r_w_bias = nn.Parameter(torch.Tensor(n_head, d_head))
        self.r_r_bias = nn.Parameter(torch.Tensor(n_head, d_head))
        self.layers = nn.ModuleList()
        for _ in range(n_layer):
            ff = nn.Sequential(
                nn.Linear(d_model, d_inner), nn.ReLU(inplace=True), nn.Linear(d_inner, d_model)
            )
            attn = RelMultiHeadAttn(n_head, d_model, d_head)
            self.layers.append(
                nn.ModuleDict({"attn": attn, "ff": ff, "norm": nn.LayerNorm(d_model)})
            )
        self.crit = nn.AdaptiveLogSoftmaxWithLoss(d_model, n_token, cutoffs, div_value=2.0)
        for p in self.parameters():
            nn.init.normal_(p, 0.0, 0.1) if p.dim() > 1 else nn.init.ones_(p)

    def init_mems(self):
        param = next(self.parameters())
        return [torch.empty(0, dtype=param.dtype, device=param.device) for _ in self.layers]

    def _update_mems(self, hids, mems):
        with torch.no_grad():
            return [torch.cat([m, h], dim=0)[-self.mem_len :].detach() for m, h in zip(mems, hids)]

    def forward(self, data, target, *mems):
        if not mems:
            mems = self.init_mems()
        qlen, _ = data.size()
        core = self.word_emb(data)
        mlen = mems[0].size(0) if mems[0].numel() else 0
        klen = mlen + qlen
        mask = torch.triu(core.new_ones(qlen, klen), diagonal=1 + mlen).bool()[:, :, None]
        pos_seq = torch.arange(klen - 1, -1, -1.0, device=core.device, dtype=core.dtype)
        pos = self.pos_emb(pos_seq)
        hids = []
        for layer, m in zip(self.layers, mems):
            hids.append(core)
            m = m if m.numel() else None
            core = layer["attn"](core, pos, self.r_w_bias, self.r_r_bias, mask, m)
            core = layer["norm"](core + layer["ff"](core))
        loss = self.crit(core.view(-1, core.size(-1)), target.reshape(-1)).loss
        return [loss, *self._update_mems(hids, mems)]


def build():
    return MemTransformerLM(50, 2, 2, 16, 8, 32, mem_len=6, cutoffs=[10, 30])


def train(model, steps=20):
    data = torch.tensor([(7 * i + i * i // 5) % 50 for i in range(120)])
    data = data.view(3, -1).t().contiguous()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=1e-3)
    losses, mems = [], ()
    for step in range(steps):
        i = 4 * (step % 9)
        if i == 0:
            mems = ()
        loss, *mems = model(data[i : i + 4], data[i + 1 : i + 5], *mems)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    torch.manual_seed(1111)
    print(train(build(), 60))
