"""Exports: constructions in the files of other programs, each verified from its files alone."""

from verify.export.exporting import cases_of as cases_of
from verify.export.exporting import verify_export as verify_export
from verify.export.exporting import write_export as write_export
from verify.export.formats import EXPORTS as EXPORTS
