"""Records files as torch.save writes and wrote them: tests/fixtures/saved_by_torch*.pt.

  python tests/goldens/torch_file.py        (needs torch; recorded with 2.13)

It has what checkpoints of training have: networks, an optimiser's state, settings, and tensors that
are views of the same numbers.
"""

import argparse
from pathlib import Path

import torch


def main() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    for i, tensor in enumerate(network.state_dict().values()):
        tensor.copy_(torch.arange(tensor.numel()).reshape(tensor.shape) + 10 * i)
    optimizer = torch.optim.Adam(network.parameters())
    numbers = torch.arange(12, dtype=torch.float32)
    saved = {
        "gen": network.state_dict(),
        "g_optim": optimizer.state_dict(),
        "args": argparse.Namespace(batch_size=8, name="portraits"),
        "transposed": numbers.reshape(3, 4).t(),
        "every_other": numbers[1:9:2],
        "half": torch.tensor([0.5, -2.0], dtype=torch.bfloat16),
        "scalar": torch.tensor(7, dtype=torch.int64),
        "parameter": torch.nn.Parameter(torch.tensor([1.5])),
        "iterations": 1000,
    }
    fixtures = Path(__file__).parents[1] / "fixtures"
    torch.save(saved, fixtures / "saved_by_torch.pt")
    before_1_6 = fixtures / "saved_by_torch_before_1_6.pt"
    torch.save(saved, before_1_6, _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
