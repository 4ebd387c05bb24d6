"""Speech recognition: spectrogram, residual convolutions, a bidirectional LSTM, CTC."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.data as data

CHARS = "' abcdefghijklmnopqrstuvwxyz"
BLANK = len(CHARS)


def text_to_int(text):
    return [CHARS.index(c) for c in text]


def int_to_text(labels):
    return "".join(CHARS[i] for i in labels)


class LogSpectrogram(nn.Module):
    def __init__(self, n_fft=46, hop=16):
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, wav):
        spec = torch.stft(
            wav, self.n_fft, self.hop, window=self.window, center=True, return_complex=True
        )
        return torch.log(spec.abs().pow(2.0) + 1e-3)


class CNNLayerNorm(nn.Module):
    def __init__(self, n_feats):
        super().__init__()
        self.layer_norm = nn.LayerNorm(n_feats)

    def forward(self, x):
        x = x.transpose(2, 3).contiguous()
        return self.layer_norm(x).transpose(2, 3).contiguous()


class ResidualCNN(nn.Module):
    def __init__(self, channels, kernel, n_feats):
        super().__init__()
        self.cnn1 = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.cnn2 = nn.Conv2d(channels, channels, kernel, padding="same")
        self.norm1, self.norm2 = CNNLayerNorm(n_feats), CNNLayerNorm(n_feats)

    def forward(self, x):
        residual = x
        x = self.cnn1(F.gelu(self.norm1(x)))
        x = self.cnn2(F.gelu(self.norm2(x)))
        x += residual
        return x


class SpeechRecognitionModel(nn.Module):
    def __init__(self, n_feats=12, channels=4, rnn_dim=16):
        super().__init__()
        self.spectrogram = LogSpectrogram()
        self.cnn = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.rescnn_layers = nn.Sequential(ResidualCNN(channels, 3, n_feats))
        self.fully_connected = nn.Linear(n_feats * channels, rnn_dim)
        self.birnn = nn.LSTM(rnn_dim, rnn_dim, batch_first=True, bidirectional=True)
        self.classifier = nn.Sequential(
            nn.Linear(rnn_dim * 2, rnn_dim), nn.GELU(), nn.Linear(rnn_dim, len(CHARS) + 1)
        )

    def forward(self, wav):
        x = self.rescnn_layers(self.cnn(self.spectrogram(wav).unsqueeze(1)))
        sizes = x.size()
        x = x.view(sizes[0], sizes[1] * sizes[2], sizes[3])  # (batch, feature, time)
        x = self.fully_connected(x.transpose(1, 2))
        x, _ = self.birnn(x)
        return self.classifier(x)


def collate(batch):
    wavs, labels, label_lengths = [], [], []
    for wav, utterance in batch:
        wavs.append(wav)
        labels.append(torch.Tensor(text_to_int(utterance.lower())))
        label_lengths.append(len(utterance))
    wavs = nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    labels = nn.utils.rnn.pad_sequence(labels, batch_first=True)
    return wavs, labels, [wavs.shape[1] // 32 + 1] * len(wavs), label_lengths


def greedy(output):
    decoded = []
    for best in output.argmax(2):
        best = torch.unique_consecutive(best)
        decoded.append(int_to_text(best[best != BLANK].tolist()))
    return decoded


def utterances():
    texts = ["hello", "it's ok", "bye", "a cat"]
    return [
        (torch.sin(torch.arange(600 + 40 * i) * (0.1 + 0.2 * i)), text)
        for i, text in enumerate(texts)
    ]


def build():
    return SpeechRecognitionModel()


def train(model, steps=20):
    loader = data.DataLoader(utterances(), batch_size=2, collate_fn=lambda x: collate(x))
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    criterion = nn.CTCLoss(blank=BLANK, zero_infinity=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=2e-2, total_steps=steps, anneal_strategy="linear"
    )
    losses = []
    while len(losses) < steps:
        for wav, labels, input_lengths, label_lengths in loader:
            optimizer.zero_grad()
            output = F.log_softmax(model(wav), dim=2).transpose(0, 1)
            loss = criterion(output, labels, input_lengths, label_lengths)
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    return losses


if __name__ == "__main__":
    torch.manual_seed(7)
    model = build()
    print(train(model, 120)[-1])
    with torch.no_grad():
        print(greedy(model(collate(utterances())[0])))
