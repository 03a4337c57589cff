"""Columns and tables that behave as those of pandas where a caller could trip over it. pandas itself is not needed."""

import numpy as np


class Series:
    """Iterating gives values, `[i]` looks up a label, and it passes for an array with one dimension."""

    ndim = 1

    def __init__(self, values, index=None):
        self.values = list(values)
        self.index = list(range(len(self.values))) if index is None else index
        self.shape, self.dtype = (len(self.values),), np.dtype(object)

    def __iter__(self):
        return iter(self.values)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, label):
        return self.values[self.index.index(label)]

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


class DataFrame:
    """Iterating gives the names of columns."""

    def __init__(self, columns):
        self.columns = list(columns)

    def __iter__(self):
        return iter(self.columns)

    def __getitem__(self, name):
        return self.columns[name]


class NAType:
    """A missing value, neither true nor false."""

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __repr__(self):
        return "<NA>"


NA = NAType()
