"""A library's ``exp`` on ALL arguments of a format, against a reference whose own error is bounded.

IEEE 754 says nothing of ``exp``, and a float certificate assumes how far it is off. float32 and the formats of 16 bits
have few enough numbers to try each: :func:`measure` does, and its record is committed as evidence.
"""

from __future__ import annotations

from verify.exponentials.findings import Findings as Findings
from verify.exponentials.measuring import measure as measure
from verify.exponentials.record import Record as Record
from verify.exponentials.record import cited as cited
from verify.exponentials.record import records as records
