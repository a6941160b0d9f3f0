"""Requests: a claim or a construction of the user's own, its sizes and options, and the arithmetic."""

from verify.requests.own import claim_of as claim_of
from verify.requests.request import Request as Request
from verify.requests.words import command_for as command_for
