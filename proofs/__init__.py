"""Why the constructions work for all sizes: claims, and the obligations that sympy decides on their very weights."""

from proofs.claims import CLAIMS as CLAIMS
from proofs.claims import Claim as Claim
from proofs.claims import Step as Step
from proofs.claims import get_claim as get_claim
from proofs.decide import Decision as Decision
from proofs.decide import ObligationError as ObligationError
from proofs.decide import ObligationFailed as ObligationFailed
from proofs.decide import ObligationUndecided as ObligationUndecided
from proofs.decide import prove_equal as prove_equal
from proofs.decide import prove_nonnegative as prove_nonnegative
from proofs.decide import prove_positive as prove_positive
from proofs.obligations import Obligation as Obligation
from proofs.obligations import Proof as Proof
