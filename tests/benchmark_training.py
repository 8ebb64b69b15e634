"""Time the taught training loop against others, on the same work.

Usage: python tests/benchmark_training.py [--device cuda] [--hidden 64]
       [--batch-sizes 64 256 1024 4096] [--samples 32768] [--epochs 2]
       [--repeats 15]

Every row trains the same network (two hidden layers) on the same data, with
Adam, the same batch size and number of epochs, on one thread:

  taught      fit() and TensorBatches of Section 9
  fused       the same, with Adam(..., fused=True) where PyTorch has it
  threads     taught, on all threads (CPU only)
  floor       slices of tensors; forward, backward and step, nothing else
  textbook    DataLoader(TensorDataset(...), shuffle=True), loss.item() a step
  sklearn     scikit-learn's MLPClassifier (CPU only)
  graph       the step captured as a CUDA graph (CUDA only): the physical floor

After one warm-up of each, the rows are timed in turn, each repeat in another
order and each row after a short rest, in which the threads of the last one
go to sleep. The fastest run of each counts, since other work only ever adds
time. The first table gives its milliseconds a step, how far the next fastest
run lies above it, the peak memory of a run above what it starts from (on
Linux and CUDA) and the accuracy on new data. The second, for the README,
gives its time divided by that of the taught loop, with no more digits than
the two spreads support. Only the taught loops validate, at entry and after
each epoch, on 256 samples.
"""

import argparse
import math
import random
import re
import time
import warnings
from pathlib import Path

import torch
from definitions import load
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FEATURES, CLASSES, LEARNING_RATE = 20, 4, 0.003
fit, predict = load("fit"), load("predict")
MLP, TensorBatches = load("MLP"), load("TensorBatches")
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def make_data(samples, device):
    """Return training, validation and test data as (X, y) pairs.

    A fixed network labels normal random numbers.
    """
    torch.manual_seed(0)
    sizes = [samples, 256, 4096]
    X = torch.randn(sum(sizes), FEATURES)
    with torch.no_grad():
        y = (MLP(FEATURES, [32], CLASSES, nn.Tanh)(X) * 10).argmax(dim=1)
    return list(zip(X.to(device).split(sizes), y.to(device).split(sizes)))


def new_model(options):
    torch.manual_seed(1)
    model = MLP(FEATURES, [options.hidden, options.hidden], CLASSES)
    return model.to(options.device)


def adam(model, **more):
    return torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, **more)


def taught(X, y, validation, batch_size, options, **more):
    model = new_model(options)
    fit(model, TensorBatches(X, y, batch_size=batch_size, shuffle=True),
        [validation], nn.CrossEntropyLoss(), adam(model, **more),
        options.epochs, options.device)
    return model


def fused(*arguments):
    return taught(*arguments, fused=True)


def threads(*arguments):
    torch.set_num_threads(ALL_THREADS)
    try:
        return taught(*arguments)
    finally:
        torch.set_num_threads(1)


def floor(X, y, _, batch_size, options):
    model, loss_fn = new_model(options), nn.CrossEntropyLoss()
    optimizer = adam(model)
    batches = list(zip(X.split(batch_size), y.split(batch_size)))
    for inputs, targets in batches * options.epochs:
        optimizer.zero_grad()
        loss_fn(model(inputs), targets).backward()
        optimizer.step()
    return model


def textbook(X, y, _, batch_size, options):
    model, loss_fn = new_model(options), nn.CrossEntropyLoss()
    optimizer = adam(model)
    loader = DataLoader(TensorDataset(X.cpu(), y.cpu()),
                        batch_size=batch_size, shuffle=True)
    for _ in range(options.epochs):
        total = 0.0
        for inputs, targets in loader:
            inputs, targets = (part.to(options.device)
                               for part in (inputs, targets))
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return model


def sklearn(X, y, _, batch_size, options):
    model = MLPClassifier(
        (options.hidden, options.hidden), batch_size=batch_size, alpha=0.0,
        learning_rate_init=LEARNING_RATE, max_iter=options.epochs, tol=0.0,
        n_iter_no_change=options.epochs + 1, random_state=1)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X.numpy(), y.numpy())


def graph(X, y, _, batch_size, options):
    model, loss_fn = new_model(options), nn.CrossEntropyLoss()
    optimizer = adam(model, capturable=True)
    inputs, targets = X[:batch_size].clone(), y[:batch_size].clone()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_fn(model(inputs), targets).backward()
        optimizer.step()

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    captured = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(captured):
        step()
    whole = len(X) // batch_size * batch_size  # a graph has one shape
    for _ in range(options.epochs):
        for X_batch, y_batch in zip(X[:whole].split(batch_size),
                                    y[:whole].split(batch_size)):
            inputs.copy_(X_batch)
            targets.copy_(y_batch)
            captured.replay()
    return model


def memory(device, reset=False):
    """Return the most memory used since the last reset, in MB, or NaN."""
    if device == "cuda":
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 2 ** 20
    if not STATUS.exists():
        return math.nan
    if reset:
        RESET.write_text("5")
    return int(re.findall(r"VmHWM:\s+(\d+)", STATUS.read_text())[0]) / 1024


def run_once(method, data, batch_size, options):
    """Return seconds, peak memory and accuracy of one training."""
    (X, y), validation, (X_test, y_test) = data
    time.sleep(0.1)
    before = memory(options.device, reset=True)
    start = time.perf_counter()
    model = method(X, y, validation, batch_size, options)
    if options.device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    peak = memory(options.device) - before
    if isinstance(model, MLPClassifier):
        return seconds, peak, model.score(X_test.numpy(), y_test.numpy())
    answers = predict(model, X_test, options.device).argmax(dim=1)
    return seconds, peak, (answers == y_test.cpu()).float().mean().item()


def compare(batch_size, options):
    """Return {name: (seconds, spread, peak memory, accuracy)}."""
    methods = [taught, fused, floor, textbook]
    methods += [graph] if options.device == "cuda" else [threads, sklearn]
    data = make_data(options.samples, options.device)
    try:
        adam(new_model(options), fused=True)
    except (RuntimeError, TypeError):  # this PyTorch has none
        methods.remove(fused)
    runs = {method.__name__: [run_once(method, data, batch_size, options)]
            for method in methods}
    peaks = {name: rows.pop()[1] for name, rows in runs.items()}  # the warm-up
    for _ in range(options.repeats):
        for method in random.sample(methods, len(methods)):
            runs[method.__name__].append(
                run_once(method, data, batch_size, options))
    best = {name: sorted(rows) for name, rows in runs.items()}
    return {name: (rows[0][0], rows[1][0] / rows[0][0] - 1, peaks[name],
                   rows[0][2]) for name, rows in best.items()}


def supported(ratio, spread):
    """Return a ratio with no more digits than its spread supports."""
    digits = math.floor(-math.log10(max(ratio * spread, 1e-2)))
    return "%.*f" % (max(digits, 0), ratio)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-sizes", type=int, nargs="+",
                        default=[64, 256, 1024, 4096])
    for name, default in [("hidden", 64), ("samples", 32768), ("epochs", 2),
                          ("repeats", 15)]:
        parser.add_argument("--" + name, type=int, default=default)
    options = parser.parse_args()
    print("torch %s, %s, hidden %d, %d samples, %d epochs, %d runs" % (
        torch.__version__, torch.cuda.get_device_name()
        if options.device == "cuda" else "CPU with %d threads" % ALL_THREADS,
        options.hidden, options.samples, options.epochs, options.repeats))
    print("| batch | loop | ms per step | spread | peak MB | accuracy |")
    print("|---|---|---|---|---|---|")
    table = {}
    for batch_size in options.batch_sizes:
        results = compare(batch_size, options)
        steps = -(-options.samples // batch_size) * options.epochs
        for name, (seconds, spread, peak, score) in results.items():
            print("| %d | %s | %.3f | %.1f %% | %.0f | %.3f |" % (
                batch_size, name, 1000 * seconds / steps, 100 * spread, peak,
                score))
            table.setdefault(name, []).append(supported(
                seconds / results["taught"][0],
                spread + results["taught"][1]))
    print("\n| Loop | %s |" % " | ".join(
        "batch %d" % batch_size for batch_size in options.batch_sizes))
    print("|---" * (len(options.batch_sizes) + 1) + "|")
    for name, cells in table.items():
        print("| %s | %s |" % (name, " | ".join(cells)))


ALL_THREADS = torch.get_num_threads()
if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
