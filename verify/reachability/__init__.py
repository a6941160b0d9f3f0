"""Can some prefix do this? A prefix that was verified, or a certificate that anyone can check, or unknown."""

from verify.reachability.certificates import ChangedRatio as ChangedRatio
from verify.reachability.certificates import NoCommonValue as NoCommonValue
from verify.reachability.certificates import OutsideValues as OutsideValues
from verify.reachability.certificates import WrongStrength as WrongStrength
from verify.reachability.certificates import pattern_is_impossible as pattern_is_impossible
from verify.reachability.certificates import proves_impossible as proves_impossible
from verify.reachability.decide import Reachability as Reachability
from verify.reachability.decide import decide as decide
from verify.reachability.pattern import decide_pattern as decide_pattern
from verify.reachability.problem import Prefix as Prefix
from verify.reachability.problem import Problem as Problem
from verify.reachability.problem import realises as realises
