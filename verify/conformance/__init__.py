"""Conformance: any backend held against known answers, in tokens, logits and bits."""

from verify.conformance.answers import KnownAnswers as KnownAnswers
from verify.conformance.answers import known_answers as known_answers
from verify.conformance.bundles import answers_of_bundle as answers_of_bundle
from verify.conformance.case import KnownCase as KnownCase
from verify.conformance.case import case_of as case_of
from verify.conformance.judge import judge as judge
from verify.conformance.row import Row as Row
from verify.conformance.running import conform as conform
