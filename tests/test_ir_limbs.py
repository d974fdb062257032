"""Products of integer matrices by limbs, against Python's integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from wdaverify.ir.limbs import _LONGEST_ROW, IntegerMatrix


def naive(pattern, data, columns):
    """Entry by entry, in Python's integers."""
    result = [[0] * columns.shape[1] for _ in range(pattern.shape[0])]
    for i, row in enumerate(result):
        for k in range(pattern.indptr[i], pattern.indptr[i + 1]):
            for c in range(columns.shape[1]):
                row[c] += int(data[k]) * int(columns[pattern.indices[k], c])
    return result


def integers(generator, count, bits):
    """Signed integers of up to so many bits, with many ends of limbs among them."""
    powers = [1 << int(generator.integers(0, bits)) for _ in range(count)]
    kinds = generator.integers(0, 6, count)
    words = [
        int.from_bytes(generator.bytes(bits // 8 + 1), "little", signed=True) >> int(generator.integers(1, 9)) for _ in powers
    ]
    made = [[0, p, -p, p - 1, -p - 1, w][k] for p, k, w in zip(powers, kinds, words, strict=True)]
    result = np.empty(count, dtype=object)
    result[:] = made
    return result


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([3, 24, 47, 48, 60, 200, 400]), st.sampled_from([1, 15, 16, 63, 64, 300]),
    st.sampled_from([1.0, 0.3, 0.02]), st.integers(1, 3),
)  # fmt: skip
def test_products_are_those_of_python(seed, matrix_bits, vector_bits, density, count):
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 60, 2)
    pattern = csr_array((rng.random((rows, columns)) < density).astype(float))
    data = integers(rng, len(pattern.data), matrix_bits)
    matrix = IntegerMatrix(pattern, data)
    x = integers(rng, columns * count, vector_bits).reshape(columns, count)
    assert (matrix @ x).tolist() == naive(pattern, data, x)
    turned, y = matrix.transposed(), integers(rng, rows * count, vector_bits).reshape(rows, count)
    assert turned.shape == (columns, rows)
    dense = np.zeros((rows, columns), dtype=object)
    dense[np.repeat(np.arange(rows), np.diff(pattern.indptr)), pattern.indices] = data
    assert (turned @ y == dense.T @ y).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("beyond", [0, 1])
def test_the_longest_row_of_the_largest_limbs_is_exact(sign, beyond):
    """All limbs at their largest: the sums reach 2^53 and no more; a longer row is multiplied entry by entry."""
    rows, length = 9, _LONGEST_ROW + beyond  # enough rows for the limbs to be worth it
    pattern = csr_array(np.ones((rows, length)))
    matrix = IntegerMatrix(pattern, np.full(rows * length, sign * (2**71 - 1), dtype=object))
    assert (matrix._limbs is None) == bool(beyond)
    for x in (2**79 - 1, -(2**79)):
        assert (matrix @ np.full((length, 1), x, dtype=object)).tolist() == [[length * sign * (2**71 - 1) * x]] * rows


def test_large_matrices_are_multiplied_in_limbs_dense_or_sparse():
    rng = np.random.default_rng(1)
    for shape, density, dense in (((40, 50), 1.0, True), ((300, 400), 0.06, False)):
        pattern = csr_array((rng.random(shape) < density).astype(float))
        matrix = IntegerMatrix(pattern, integers(rng, len(pattern.data), 50))
        assert isinstance(matrix._limbs, np.ndarray) is dense
        assert matrix._limbs is not None


def test_empty_matrices_and_no_columns():
    matrix = IntegerMatrix(csr_array((2, 3)), np.zeros(0, dtype=object))
    assert (matrix @ np.ones((3, 1), dtype=object)).tolist() == [[0], [0]]
    full = IntegerMatrix(csr_array(np.ones((40, 40))), np.ones(1600, dtype=object))
    assert (full @ np.zeros((40, 0), dtype=object)).shape == (40, 0)


def test_matrices_whose_limbs_would_fill_the_memory_are_multiplied_entry_by_entry(monkeypatch):
    pattern, data = csr_array(np.ones((40, 40))), np.full(1600, 2**50, dtype=object)
    assert IntegerMatrix(pattern, data)._limbs is not None
    monkeypatch.setattr("wdaverify.ir.limbs._MANY_ENTRIES", 3 * 1600 - 1)  # its three limbs do not fit
    matrix = IntegerMatrix(pattern, data)
    assert matrix._limbs is None
    assert (matrix @ np.full((40, 1), 3, dtype=object)).tolist() == [[40 * 3 * 2**50]] * 40
