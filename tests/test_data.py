"""Data of any kind goes in, or the message says what is wrong with it."""

from math import nan

import numpy as np
import pandas as pd
import pytest
import torch
from definitions import load
from scipy import sparse

check_array, to_tensors = load("check_array"), load("to_tensors")
check_tensors, TensorBatches = load("check_tensors"), load("TensorBatches")
NUMBERS = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
ARRAY, TENSOR = np.array(NUMBERS), torch.tensor(NUMBERS)
TABLE = pd.DataFrame(NUMBERS)
# The same six numbers, as people have them: first whole ones.
KINDS = [TENSOR.int(), TABLE.astype(int)] + [ARRAY.astype(kind) for kind in (
    "i8", "u1", "u2", "f4", "f2", ">f8", "O", "U")] + [
    ARRAY, NUMBERS, tuple(map(tuple, NUMBERS)), list(ARRAY),
    ARRAY[::-1].copy()[::-1], ARRAY.T.copy().T, np.broadcast_to(ARRAY, (3, 2)),
    sparse.csr_matrix(ARRAY), TENSOR, TENSOR.double(), TABLE,
    TABLE.astype({1: int}), TABLE.astype("Int64")]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("index, data", list(enumerate(KINDS)))
def test_numbers_of_any_kind_go_in(index, data):
    """check_array: Return an array, list, data frame, series or tensor as a
    tensor. Of dtype; with None, whole-number dtypes become int64, others
    float32. to_tensors: Turn several arrays into a list of tensors. arrays is
    a list such as [X, y] of arrays, lists, data frames, series or tensors;
    shapes stay. All become dtype; with dtype=None whole numbers become int64,
    and others float32. predict: An array, a list, a data frame or a tensor of
    decimals becomes the model's dtype; a tensor of whole numbers goes in as
    it is."""
    for dtype in (torch.float32, torch.float64, torch.int64, None):
        for result in to_tensors([data, data], dtype=dtype) + [
                check_array(data, dtype)]:
            assert result.tolist() == NUMBERS and result.dtype == (
                dtype or (torch.int64 if index < 5 else torch.float32))
    result, = to_tensors([data], "meta")
    assert (result.dtype, result.device.type) == (torch.float32, "meta")
    model, seen = torch.nn.Linear(2, 2).double(), set()
    model.forward = lambda x: seen.add(x.dtype) or x.double()
    assert load("predict")(model, data).tolist() == NUMBERS
    assert seen == {torch.float64 if index else torch.int32}


@pytest.mark.parametrize("data, words", [
    (np.array([[1.0, "red"]], object), "red"), (["red"], "red"),
    (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), "'x'"),
    (pd.Series(["x", "y"], dtype="category"), "'x'"), ([[1.0, [2]]], "sequen"),
    (pd.Series(pd.date_range("2020", periods=2)), "datetime64"),
    (np.array([1, 2], "m8[D]"), "timedelta"), (np.array([1 + 2j]), "complex"),
    (np.array([2 ** 63], "u8"), "uint64"),
    ([[1.0, 2.0], [3.0]], "not a number.*one length"), ([{"a": 1}], "dict"),
    ([0.5, 1.0], "fractions or NaN"), ([1.0, None], "fractions or NaN"),
    (np.array([1e300]), "fractions or NaN"), (TENSOR / 2, "fractions or NaN"),
    (1.0, "with brackets"), (torch.tensor(1), "with brackets")])
def test_what_is_no_table_of_numbers_is_named(data, words):
    """check_array: Raises ValueError for words, dates and other things that
    are no numbers (None becomes NaN, and text that reads as a number that
    number), and for a fraction where dtype holds whole numbers; TypeError for
    one number. to_tensors: Raises TypeError for one array, not a list, in
    place of several, and what check_array raises. An array is copied; a
    tensor that fits is passed on."""
    error = TypeError if words == "with brackets" else ValueError
    dtype = torch.int64 if words == "fractions or NaN" else None
    pytest.raises(error, check_array, data, dtype).match(words)
    pytest.raises(error, to_tensors, [data], "cpu", dtype).match(words)
    for alone in (ARRAY, TENSOR, TABLE, TABLE[0], [0, 1], range(3)):
        pytest.raises(TypeError, to_tensors, alone).match("with brackets")
    array = ARRAY.astype("f4")
    copied, same, odd, flags = to_tensors([array, TENSOR, [None, "1.5"], [
        True, False]], dtype=None)
    assert not np.shares_memory(copied.numpy(), array) and same is TENSOR
    assert odd[0].isnan() and odd[1] == 1.5 and flags.dtype == torch.float32


@pytest.mark.parametrize("kind", [
    list, tuple, np.array, torch.tensor, pd.DataFrame, sparse.csr_matrix,
    lambda rows: pd.DataFrame(rows)[0]])
@pytest.mark.parametrize("stratify", [None, np.arange(101) % 2 == 0])
def test_split_in_three_deals_out_each_row_once(kind, stratify):
    """split_in_three: Split arrays into 60 % training, 20 % validation and
    20 % test. Shapes: X (num_samples, ...), y (num_samples, ...): arrays,
    data frames, series or tensors, which keep their kind; lists become
    arrays. Returns (X_train, X_val, X_test), (y_train, y_val, y_test). Pass
    stratify=y for classes, to keep their proportions. Rows are dealt out at
    random: not for rows in order of time. Raises ValueError for lengths that
    differ."""
    X, y, seen = kind([[i, -i] for i in range(101)]), list(range(101)), []
    for seed in (0, 0, 1):
        X_parts, y_parts = load("split_in_three")(X, y, seed, stratify)
        assert [len(part) for part in y_parts] == [60, 20, 21]
        assert sorted(np.concatenate(y_parts)) == y
        for part, numbers in zip(X_parts, y_parts):
            assert type(part) is (np.ndarray if type(X) in (list, tuple)
                                  else type(X))
            rows = to_tensors([part])[0].reshape(len(numbers), -1)
            assert rows[:, 0].tolist() == list(numbers) != sorted(numbers)
            assert stratify is None or abs(stratify[numbers].mean() - .5) < .03
        seen.append([part.tolist() for part in y_parts])
    assert seen[0] == seen[1] and all(a != b for a, b in zip(*seen[1:]))
    pytest.raises(ValueError, load("split_in_three"), X, y[1:], 0)


@pytest.mark.parametrize("options", [{}, {"shuffle": True}])
@pytest.mark.parametrize("size, sizes", [
    (1, [1] * 10), (4, [4, 4, 2]), (np.int64(5), [5, 5]), (11, [10])])
def test_tensor_batches_pass_each_row_once(size, sizes, options):
    """TensorBatches: Mini-batches of tensors that fit in memory, on their own
    device. Each pass yields tuples with (batch_size, ...) rows of every
    tensor, the last batch perhaps smaller, or left out with drop_last=True.
    With shuffle=True each pass has a new order, the same for all the tensors.
    Raises what check_tensors raises. check_tensors: Raise an error if tensors
    cannot be cut into batches of batch_size. TypeError for a wrong type;
    ValueError unless the tensors have one length, above zero, and batch_size
    is a whole number above zero."""
    y = torch.arange(10, device="cuda" if torch.cuda.is_available() else "cpu")
    X, orders = torch.stack([y, -y], dim=1), []
    batches = TensorBatches(X, y, batch_size=size, **options)
    whole = TensorBatches(y, batch_size=size, drop_last=True, **options)
    assert [len(part) for part, in whole] == [n for n in sizes if n == size]
    assert (len(batches), len(whole)) == (len(sizes), sizes.count(size))
    for _ in range(2):
        passed = list(batches)
        assert [len(part) for _, part in passed] == sizes
        assert all(rows.equal(X[part]) for rows, part in passed)
        orders.append(torch.cat([part for _, part in passed]))
        passed[0][0].add_(100)  # a copy
    assert orders[0].sort()[0].equal(y) and orders[0].equal(X[:, 0]) \
        == orders[0].equal(orders[1]) == (not options)
    for wrong, size in [([ARRAY], 2), ([TENSOR, NUMBERS], 2), ([], 2), (
            [TENSOR[:0]], 2), ([TENSOR[0, 0]], 2), ([TENSOR, TENSOR[1:]], 2), (
            [TENSOR], 0), ([TENSOR], 2.5), ([TENSOR], nan)]:
        error = ValueError if all(map(torch.is_tensor, wrong)) else TypeError
        pytest.raises(error, check_tensors, wrong, size)
        pytest.raises(error, TensorBatches, *wrong, batch_size=size)
