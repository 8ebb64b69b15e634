"""Data of any kind goes in, or the message says what is wrong with it."""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from definitions import load
from examples import DEVICES
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from torch.utils.data import DataLoader

to_tensors, predict = load("to_tensors"), load("predict")
TensorBatches = load("TensorBatches")
NUMBERS = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
TABLE = pd.DataFrame(NUMBERS, columns=["a", "b"], index=[7, 7, 9])
READ_ONLY = np.array(NUMBERS)
READ_ONLY.flags.writeable = False

# The same six numbers, as people have them.
KINDS = {
    "float64": np.array(NUMBERS), "float32": np.array(NUMBERS, "f4"),
    "float16": np.array(NUMBERS, "f2"), "int64": np.array(NUMBERS, "i8"),
    "uint8": np.array(NUMBERS, "u1"), "uint16": np.array(NUMBERS, "u2"),
    "big-endian": np.array(NUMBERS, ">f8"), "list": NUMBERS,
    "tuple": tuple(map(tuple, NUMBERS)), "list of arrays":
    [np.array(row) for row in NUMBERS], "read-only": READ_ONLY,
    "reversed": np.array(NUMBERS[::-1])[::-1], "column order":
    np.array(NUMBERS, order="F"), "objects": np.array(NUMBERS, object),
    "decimals": np.array([[Decimal(int(n)) for n in row] for row in NUMBERS]),
    "sparse": sparse.csr_matrix(np.array(NUMBERS)),
    "tensor": torch.tensor(NUMBERS), "float64 tensor":
    torch.tensor(NUMBERS).double(), "int tensor": torch.tensor(NUMBERS).int(),
    "data frame": TABLE, "integer frame": TABLE.astype(int),
    "frame of two types": TABLE.astype({"b": int}),
    "nullable frame": TABLE.astype("Int64"),
    "memory-mapped": np.array(NUMBERS).view(np.memmap),
}
WHOLE = {"int64", "uint8", "uint16", "int tensor", "integer frame"}
# What is no table of numbers, and what the message must name.
NO_NUMBERS = [
    (np.array([[1.0, "red"]], object), "red"), (np.array(["red"]), "red"),
    ([["red", 1]], "red"), (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), "x"),
    (pd.Series(["x", "y"], dtype="category"), "x"),
    ([[1.0, [2.0]]], "sequence"),
    (np.array(["2020-01-01"], "M8[D]"), "datetime64"),
    (pd.Series(pd.date_range("2020", periods=2)), "datetime64"),
    (np.array([1 + 2j]), "complex"), ([[1.0, 2.0], [3.0]], "one length"),
    ([{"a": 1}], "dict"),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64,
                                   None])
@pytest.mark.parametrize("kind", KINDS)
def test_to_tensors_takes(kind, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result, = to_tensors([KINDS[kind]], dtype=dtype)
    assert result.tolist() == NUMBERS
    by_itself = torch.int64 if kind in WHOLE else torch.float32
    assert result.dtype == (dtype or by_itself)


def test_to_tensors_copies_arrays_and_passes_tensors_on():
    array, tensor = np.zeros(3, "f4"), torch.zeros(3)
    copied, same = to_tensors([array, tensor])
    array[0] = 1
    assert copied.tolist() == [0, 0, 0] and same is tensor


def test_check_array_gives_the_dtype_asked_for():
    check_array = load("check_array")
    for kind, data in KINDS.items():
        for dtype in (torch.float32, torch.float64, torch.int64):
            assert check_array(data, dtype).dtype == dtype
        assert check_array(data, None).dtype == (
            torch.int64 if kind in WHOLE else torch.float32)


@pytest.mark.parametrize("flags", [
    [True, False], np.array([True, False]), pd.Series([True, False]),
    torch.tensor([True, False])])
def test_to_tensors_takes_booleans(flags):
    for dtype, wanted in [(torch.float32,) * 2, (torch.int64,) * 2,
                          (None, torch.float32)]:
        result, = to_tensors([flags], dtype=dtype)
        assert result.dtype == wanted and result.tolist() == [1, 0]


@pytest.mark.parametrize("data, word", NO_NUMBERS)
def test_what_is_not_a_number_is_named(data, word):
    with pytest.raises(ValueError, match="not a number") as caught:
        to_tensors([data])
    assert word in str(caught.value)


@pytest.mark.parametrize("alone", [
    np.zeros((3, 2)), np.zeros(3), torch.zeros(3), TABLE, TABLE["a"],
    [0, 1, 1], [0.5, 1.5], (True, False), range(3)])
def test_to_tensors_refuses_one_array_for_several(alone):
    with pytest.raises(TypeError, match="with brackets"):
        to_tensors(alone)


@pytest.mark.parametrize("numbers", [[0.5, 1.0], [1.0, float("nan")],
                                     [float("inf")], np.array([1e300]),
                                     torch.tensor([0.5])])
def test_to_tensors_loses_no_fraction(numbers):
    with pytest.raises(ValueError, match="fractions or NaN"):
        to_tensors([numbers], dtype=torch.int64)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"int tensor"}))
def test_predict_takes(kind):
    model = torch.nn.Linear(2, 1).double()
    expected = model(torch.tensor(NUMBERS).double()).detach()
    torch.testing.assert_close(predict(model, KINDS[kind]), expected)


def test_predict_leaves_whole_numbers_for_an_embedding():
    model = torch.nn.Embedding(5, 2)
    assert predict(model, torch.tensor([[0, 4]])).shape == (1, 2, 2)


@pytest.mark.parametrize("kind, stack", [
    ("float64", np.concatenate), ("read-only", np.concatenate),
    ("objects", np.concatenate), ("list", lambda parts: sum(parts, [])),
    ("tuple", lambda parts: sum(parts, ())), ("sparse", sparse.vstack),
    ("tensor", torch.cat), ("int tensor", torch.cat),
    ("data frame", pd.concat), ("frame of two types", pd.concat)])
def test_split_in_three_keeps_rows_and_targets_together(kind, stack):
    X = stack([KINDS[kind]] * 10)
    y = pd.Series(np.tile([0.0, 2.0, 4.0], 10), index=range(100, 130))
    X_parts, y_parts = load("split_in_three")(X, y, random_state=0,
                                              stratify=y)
    for inputs, targets in zip(to_tensors(X_parts), to_tensors(y_parts)):
        assert torch.equal(inputs[:, 0], targets)
    assert [len(part) for part in y_parts] == [18, 6, 6]


@pytest.mark.parametrize("X, y, options, words", [
    (np.zeros((10, 2)), np.zeros(9), {}, "inconsistent numbers"),
    (np.zeros((2, 2)), np.zeros(2), {}, "train set will be empty"),
    (np.zeros((30, 2)), np.arange(30), {"stratify": np.arange(30)}, "least"),
])
def test_split_in_three_refuses(X, y, options, words):
    with pytest.raises(ValueError, match=words):
        load("split_in_three")(X, y, random_state=0, **options)


@pytest.mark.parametrize("data", [
    np.zeros((3, 2)), [[0.0], [1.0], [2.0]], TABLE, TABLE["a"]])
def test_tensor_batches_refuse_what_is_no_tensor(data):
    with pytest.raises(TypeError, match="to_tensors"):
        TensorBatches(torch.zeros(3), data, batch_size=2)


@pytest.mark.parametrize("shuffle", [True, False])
def test_tensor_batches_drop_a_last_batch_that_is_not_whole(shuffle):
    for length, sizes in [(10, [4, 4]), (8, [4, 4]), (3, [])]:
        batches = TensorBatches(torch.arange(length), batch_size=4,
                                shuffle=shuffle, drop_last=True)
        assert [len(part) for part, in batches] == sizes
        assert len(batches) == len(sizes)


@pytest.mark.parametrize("shuffle", [True, False])
def test_tensor_batches_share_no_memory_with_their_tensors(shuffle):
    numbers = torch.zeros(6)
    for part, in TensorBatches(numbers, batch_size=4, shuffle=shuffle):
        part += 1
    assert numbers.sum() == 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", [1, 3, 10, 11])
def test_tensor_batches_cover_the_data_once(batch_size, device):
    torch.manual_seed(0)
    X = torch.arange(20.0, device=device).reshape(10, 2)
    y = torch.arange(10, device=device)
    batches = load("TensorBatches")(X, y, batch_size=batch_size, shuffle=True)
    passes = [list(batches), list(batches)]
    for one_pass in passes:
        assert len(one_pass) == len(batches)
        assert all(len(b[1]) == batch_size for b in one_pass[:-1])
        targets = torch.cat([b[1] for b in one_pass])
        assert sorted(targets.tolist()) == list(range(10))
        assert torch.equal(torch.cat([b[0] for b in one_pass]), X[targets])
        assert one_pass[0][0].device == X.device
    first, second = (torch.cat([b[1] for b in p]).tolist() for p in passes)
    assert first != second
    assert first != list(range(10))


def test_check_tensors_is_quiet_about_batches():
    load("check_tensors")([torch.zeros(3), torch.zeros(3, 2)], 5)


def test_tensor_batches_keep_the_order_unless_told():
    batches = load("TensorBatches")(torch.arange(5), batch_size=2)
    assert [b[0].tolist() for b in batches] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("tensors, batch_size", [
    ((), 2), ((torch.zeros(0),), 2), ((torch.tensor(1.0),), 2),
    ((torch.zeros(3), torch.zeros(4)), 2),
    ((torch.zeros(3),), 0), ((torch.zeros(3),), -1),
    ((torch.zeros(3),), 2.5), ((torch.zeros(3),), float("nan"))])
def test_tensor_batches_refuse_bad_input(tensors, batch_size):
    with pytest.raises(ValueError):
        load("TensorBatches")(*tensors, batch_size=batch_size)


@given(st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_tensor_batches_are_a_data_loaders(length, batch_size, shuffle):
    numbers = torch.arange(length)
    batches = load("TensorBatches")(numbers, batch_size=np.int64(batch_size),
                                    shuffle=shuffle)
    loader = DataLoader(numbers, batch_size=batch_size)
    assert len(batches) == len(loader)
    sizes = [len(part) for part, in batches]
    assert sizes == [len(part) for part in loader]
    seen = torch.cat([part for part, in batches]).tolist()
    assert (sorted(seen) if shuffle else seen) == list(range(length))


def test_split_in_three():
    split_in_three = load("split_in_three")
    X, y = np.arange(100), np.arange(100) % 4 == 0
    (X_train, X_val, X_test), (y_train, y_val, y_test) = split_in_three(
        X, y, random_state=0, stratify=y)
    assert [len(part) for part in (X_train, X_val, X_test)] == [60, 20, 20]
    assert sorted(np.concatenate([X_train, X_val, X_test])) == list(range(100))
    for inputs, targets in [(X_train, y_train), (X_val, y_val),
                            (X_test, y_test)]:
        assert np.array_equal(inputs % 4 == 0, targets)
        assert np.mean(targets) == 0.25
    again = split_in_three(X, y, random_state=0, stratify=y)
    assert np.array_equal(again[0][2], X_test)
    others = X % 10 == 0  # groups that are not the targets
    for seed in range(5):
        parts, _ = split_in_three(X, y, seed, stratify=others)
        assert [np.sum(part % 10 == 0) for part in parts] == [6, 2, 2]


@given(st.integers(10, 60), st.integers(0, 9))
def test_split_in_three_deals_out_every_sample_once(length, seed):
    X, y = np.arange(length), -np.arange(length)
    X_parts, y_parts = load("split_in_three")(X, y, random_state=seed)
    assert sorted(np.concatenate(X_parts)) == list(range(length))
    for inputs, targets in zip(X_parts, y_parts):
        assert np.array_equal(inputs, -targets)
    assert len(X_parts[1]) == -(-(length - len(X_parts[2])) // 4)
    assert len(X_parts[2]) == -(-length // 5)


