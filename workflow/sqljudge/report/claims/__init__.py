"""The paper's eight claims: the published figure, ours, an interval, a test and a verdict."""

from sqljudge.report.claims.evaluate import Claim, evaluate_claims
from sqljudge.report.claims.grid import claims_grid, claims_summary
from sqljudge.report.claims.statements import ROLES

__all__ = ["ROLES", "Claim", "claims_grid", "claims_summary", "evaluate_claims"]
