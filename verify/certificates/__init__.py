"""Certificates: one proof for ALL targets of given sizes, on the weights that are given, in a named arithmetic."""

from verify.certificates.all_targets import BUDGET as BUDGET
from verify.certificates.all_targets import POINTS as POINTS
from verify.certificates.all_targets import certificate_arithmetic as certificate_arithmetic
from verify.certificates.all_targets import certify as certify
from verify.certificates.balls.arithmetic import BallArithmetic as BallArithmetic
from verify.certificates.floats.arithmetic import RoundedArithmetic as RoundedArithmetic
from verify.certificates.floats.kernel import Kernel as Kernel
from verify.certificates.nothing_rounds import bit_exact as bit_exact
