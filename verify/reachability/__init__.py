"""Can some prefix do this? The answer is a verified prefix, a certificate that anyone can check, or unknown."""

from verify.reachability.impossibility import ChangedRatio as ChangedRatio
from verify.reachability.impossibility import NoCommonValue as NoCommonValue
from verify.reachability.impossibility import OutsideValues as OutsideValues
from verify.reachability.impossibility import WrongStrength as WrongStrength
from verify.reachability.impossibility import pattern_is_impossible as pattern_is_impossible
from verify.reachability.impossibility import proves_impossible as proves_impossible
from verify.reachability.pattern import decide_pattern as decide_pattern
from verify.reachability.prefix import Prefix as Prefix
from verify.reachability.prefix import realises as realises
from verify.reachability.problem import Problem as Problem
from verify.reachability.solver import Reachability as Reachability
from verify.reachability.solver import decide as decide
