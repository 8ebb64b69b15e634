"""Time the taught training loop against others, on the same work.

Usage: python tests/benchmark_training.py [--device cuda] [--hidden 64]
       [--batch-sizes 256 1024 4096] [--samples 32768] [--epochs 10]
       [--repeats 5]

Every row trains the same network (two hidden layers) on the same data, with
Adam, the same batch size and number of epochs:

  taught      fit() and TensorBatches of Section 9
  floor       slices of tensors; forward, backward and step, nothing else
  textbook    DataLoader(TensorDataset(...), shuffle=True), loss.item() a step
  sklearn     scikit-learn's MLPClassifier (CPU only)
  skorch      skorch's NeuralNetClassifier, when it is installed
  graph       the step captured as a CUDA graph (CUDA only): the physical floor

After one warm-up of each, the rows are timed in turn, each repeat in another
order and each row after a short rest, in which the threads of the last one
go to sleep. The table gives the median milliseconds a step, the time of the
taught loop divided by the time of the row, and the accuracy on new data. The
second table, for the README, turns the ratio round: the taught loop is 1.
Only the taught loop also validates after each epoch, on 256 samples.
"""

import argparse
import random
import statistics
import time
import warnings

import torch
from definitions import load
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

try:
    from skorch import NeuralNetClassifier
except ImportError:
    NeuralNetClassifier = None

FEATURES, CLASSES, LEARNING_RATE = 20, 4, 0.003
fit, predict = load("fit"), load("predict")
MLP, TensorBatches = load("MLP"), load("TensorBatches")


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


def new_model(options, device):
    torch.manual_seed(1)
    model = MLP(FEATURES, [options.hidden, options.hidden], CLASSES)
    return model.to(device)


def new_optimizer(model, **more):
    return torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, **more)


def taught(X, y, validation, batch_size, options, device):
    model = new_model(options, device)
    fit(model, TensorBatches(X, y, batch_size=batch_size, shuffle=True),
        [validation], nn.CrossEntropyLoss(), new_optimizer(model),
        options.epochs, device)
    return model


def floor(X, y, _, batch_size, options, device):
    model, loss_fn = new_model(options, device), nn.CrossEntropyLoss()
    optimizer = new_optimizer(model)
    batches = list(zip(X.split(batch_size), y.split(batch_size)))
    for _ in range(options.epochs):
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss_fn(model(inputs), targets).backward()
            optimizer.step()
    return model


def textbook(X, y, _, batch_size, options, device):
    model, loss_fn = new_model(options, device), nn.CrossEntropyLoss()
    optimizer = new_optimizer(model)
    loader = DataLoader(TensorDataset(X.cpu(), y.cpu()),
                        batch_size=batch_size, shuffle=True)
    for _ in range(options.epochs):
        total = 0.0
        for inputs, targets in loader:
            inputs, targets = inputs.to(device), targets.to(device)
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return model


def sklearn(X, y, _, batch_size, options, device):
    model = MLPClassifier(
        (options.hidden, options.hidden), batch_size=batch_size, alpha=0.0,
        learning_rate_init=LEARNING_RATE, max_iter=options.epochs, tol=0.0,
        n_iter_no_change=options.epochs + 1, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X.numpy(), y.numpy())


def skorch(X, y, _, batch_size, options, device):
    model = NeuralNetClassifier(
        new_model(options, device), criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam, lr=LEARNING_RATE, batch_size=batch_size,
        max_epochs=options.epochs, iterator_train__shuffle=True,
        train_split=None, verbose=0, device=str(device))
    return model.fit(X, y).module_


def graph(X, y, _, batch_size, options, device):
    model, loss_fn = new_model(options, device), nn.CrossEntropyLoss()
    optimizer = new_optimizer(model, capturable=True)
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


def accuracy(model, X, y, device):
    if isinstance(model, MLPClassifier):
        return model.score(X.cpu().numpy(), y.cpu().numpy())
    answers = predict(model, X, device).argmax(dim=1)
    return (answers == y.cpu()).float().mean().item()


def run_once(method, data, batch_size, options, device):
    """Return seconds and accuracy of one training, synchronised."""
    (X, y), validation, test = data
    time.sleep(0.2)
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    model = method(X, y, validation, batch_size, options, device)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return seconds, accuracy(model, *test, device=device)


def compare(batch_size, options, device):
    """Return {name: (seconds, accuracy)}, the medians of the repeats."""
    methods = [taught, floor, textbook]
    methods += [sklearn] if device.type == "cpu" else [graph]
    methods += [skorch] if NeuralNetClassifier is not None else []
    data = make_data(options.samples, device)
    runs = {method.__name__: [] for method in methods}
    for repeat in range(options.repeats + 1):
        for method in random.sample(methods, len(methods)):
            result = run_once(method, data, batch_size, options, device)
            if repeat > 0:  # the first one warms up
                runs[method.__name__].append(result)
    return {name: tuple(statistics.median(column) for column in zip(*results))
            for name, results in runs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--batch-sizes", type=int, nargs="+",
                        default=[256, 1024, 4096])
    parser.add_argument("--samples", type=int, default=32768)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    device = torch.device(options.device)
    print("torch %s, %s, %d threads, hidden %d, %d samples, %d epochs" % (
        torch.__version__, torch.cuda.get_device_name()
        if device.type == "cuda" else "CPU", torch.get_num_threads(),
        options.hidden, options.samples, options.epochs))
    print("| batch | loop | ms per step | taught / this | accuracy |")
    print("|---|---|---|---|---|")
    table = {}
    for batch_size in options.batch_sizes:
        results = compare(batch_size, options, device)
        steps = -(-options.samples // batch_size) * options.epochs
        for name, (seconds, score) in results.items():
            print("| %d | %s | %.2f | %.2f | %.3f |" % (
                batch_size, name, 1000 * seconds / steps,
                results["taught"][0] / seconds, score))
            table.setdefault(name, []).append(
                "%.2f" % (seconds / results["taught"][0]))
    print("\n| Loop | %s |" % " | ".join(
        "batch %d" % batch_size for batch_size in options.batch_sizes))
    print("|---" * (len(options.batch_sizes) + 1) + "|")
    for name, cells in table.items():
        print("| %s | %s |" % (name, " | ".join(cells)))


if __name__ == "__main__":
    main()
