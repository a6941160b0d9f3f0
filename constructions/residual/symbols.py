"""The symbols of the weights beside the sizes; :mod:`constructions.residual.bounds` gives their integers."""

from __future__ import annotations

import sympy as sp

#: What masks a number that is not selected, and what an MLP multiplies its rows by, to be beyond its bend.
MASK = sp.Symbol("M", integer=True, positive=True)
GAIN = sp.Symbol("gamma", integer=True, positive=True)
#: The same of the MLP that tells counted positions apart.
PLACE_GAIN = sp.Symbol("gamma_p", integer=True, positive=True)

#: The position at which the response is read first: 0 at the virtual token itself, 1 at the user's one token.
FIRST = sp.Symbol("f", integer=True, nonnegative=True)

#: What a counted token weighs, in units of ``2^-128``.
COUNTED = sp.Symbol("kappa", integer=True, positive=True)

#: What a tied model writes in units of what an untied one does, beside which a token's own row is small.
WRITTEN = sp.Symbol("w", integer=True, positive=True)
