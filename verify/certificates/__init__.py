"""Certificates: one proof for ALL targets of given sizes, on the weights that are given, in a named arithmetic."""

from verify.certificates.balls import BallArithmetic as BallArithmetic
from verify.certificates.bit_exact import bit_exact as bit_exact
from verify.certificates.certify import BUDGET as BUDGET
from verify.certificates.certify import POINTS as POINTS
from verify.certificates.certify import certificate_arithmetic as certificate_arithmetic
from verify.certificates.certify import certify as certify
from verify.certificates.kernel import Kernel as Kernel
from verify.certificates.rounded import RoundedArithmetic as RoundedArithmetic
