"""What several tests of definitions start from: devices, data, settings."""

import torch
from hypothesis import settings

# The same examples in each run, and no folder left behind.
settings.register_profile("repeatable", deadline=None, derandomize=True,
                          database=None, max_examples=60)
settings.load_profile("repeatable")
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def regression_set(n=64, device="cpu"):
    """Return X (n, 3) and y (n, 1), a linear function of it."""
    torch.manual_seed(0)
    X = torch.randn(n, 3, device=device)
    return X, X @ torch.tensor([[1.0], [-2.0], [0.5]], device=device)
