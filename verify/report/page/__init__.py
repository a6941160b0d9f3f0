"""The page of evidence: all that the package knows about its claims, as one HTML file that needs no network.

Everything on the page is read from documents: the verdicts of ``prefixproof verify --json``, and the files of
``proofs``. Every number names the document that it comes from, and its place in it. A new section is a class in a file
of its own in ``verify/report/page/sections``, and a line there.
"""

from __future__ import annotations

from verify.report.page.documents import Library as Library
from verify.report.page.found import Derived as Derived
from verify.report.page.found import Found as Found
from verify.report.page.sections import SECTIONS as SECTIONS
from verify.report.page.sections.base import Section as Section
from verify.report.page.writing import Page as Page
from verify.report.page.writing import make_page as make_page
