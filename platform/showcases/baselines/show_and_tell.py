"""ST: an LSTM that sees the photos once, before the first word.

Vinyals, Toshev, Bengio, Erhan: "Show and Tell: A Neural Image Caption Generator", CVPR 2015, section 3.1:
x_{-1} = CNN(I), x_t = W_e S_t, p_{t+1} = LSTM(x_t). Here CNN(I) is the mean of the projected CLIP features.
"""

import torch
from torch import Tensor, nn

from showcases.baselines.base import Baseline, Memory
from showcases.baselines.data import Given
from showcases.generator.mma import Projection


class ShowAndTell(Baseline):
    """Reads photos."""

    name = "ST"
    reads = ("images",)

    def build(self) -> None:
        width = self.config.width
        self.images = Projection(self.image_dim, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)

    def read(self, given: Given) -> Memory:
        """The first input (B, E): a mean over the real photos."""
        projected, mask = self.images(given.images, given.image_mask)
        weights = mask / mask.sum(dim=1, keepdim=True)
        return ((projected * weights[..., None]).sum(dim=1),)

    def decode(self, tokens: Tensor, memory: Memory) -> Tensor:
        inputs = torch.cat([memory[0][:, None], self.words(tokens)], dim=1)  # (B, 1 + T, E)
        hidden, _ = self.lstm(self.dropout(inputs))
        return hidden[:, 1:]
