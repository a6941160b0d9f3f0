"""The symbols of these weights alone; those that other constructions share are in :mod:`constructions.expressions`."""

from __future__ import annotations

import sympy as sp

#: The mask of the numbers that are not selected, and the factor of an MLP's rows that takes them beyond its bend; their
#: integers, like those of all that follow, come from :mod:`constructions.residual.bounds` and the modules beside it.
MASK = sp.Symbol("M", integer=True, positive=True)
GAIN = sp.Symbol("gamma", integer=True, positive=True)
#: The factor of the MLP that turns a count into distances.
PLACE_GAIN = sp.Symbol("gamma_p", integer=True, positive=True)

#: The position at which the response is read first: 0 at the virtual token itself, 1 at the user's one token.
FIRST = sp.Symbol("f", integer=True, nonnegative=True)

#: The weight of a counted token, in units of ``2^-128``.
COUNTED = sp.Symbol("kappa", integer=True, positive=True)

#: The factor of all that a tied model's last MLP writes, beside which a token's own row is small.
WRITTEN = sp.Symbol("w", integer=True, positive=True)
