"""How Sphinx builds the site: ``make docs``, every warning an error."""

from __future__ import annotations

import contextlib
import inspect
import io
from importlib import import_module
from importlib.metadata import version as installed_version
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

from constructions.construction import Construction
from constructions.typeset import transformer_latex
from proofs import get_claim
from verify.cli.app import run

project = "prefixproof"
author = "the prefixproof authors"
project_copyright = author
release = installed_version("prefixproof")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

# docstrings in Google style; types stand in the signatures and are not said again
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"show-inheritance": True}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
add_module_names = False

html_theme = "furo"
html_title = f"prefixproof {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_sphinx = False


class Weights(SphinxDirective):
    """The symbolic weights of a construction, as the code has them when the site is built.

    The argument is an expression such as ``UnconditionalGeneration(2, 2)``: any sizes at which every kind of layer is
    there, as the symbolic matrices do not depend on them.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return one displayed formula for each weight."""
        names = vars(import_module("constructions"))
        construction = eval(self.arguments[0], {}, dict(names))  # noqa: S307 # an expression of our own pages
        assert isinstance(construction, Construction)
        return [nodes.container("", _displayed(transformer_latex(construction.transformer)), classes=["weights"])]


class Statement(SphinxDirective):
    """The statement of a registered claim, in words and as a formula; the argument is its id."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the statement as a block quote."""
        claim = get_claim(self.arguments[0])
        words = nodes.paragraph("", claim.statement)
        source = nodes.paragraph("", "", nodes.emphasis("", f"Source: {claim.source}."))
        return [nodes.block_quote("", words, _displayed(claim.latex), source)]


class Help(SphinxDirective):
    """The output of ``prefixproof COMMAND --help``; the argument is the command."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the help as a block of text."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            status = run([self.arguments[0], "--help"])
        assert status == 0
        return [nodes.literal_block("", printed.getvalue().strip(), language="text")]


def _displayed(latex: str) -> nodes.math_block:
    return nodes.math_block("", latex, nowrap=False, number=None, label=None)


def _own_parameters(  # noqa: PLR0917 # the arguments of an event of Sphinx
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Show the fields of a dataclass, whose ``__new__`` takes anything and only refuses some of it."""
    if what != "class" or not (signature or "").startswith("(*_"):
        return signature, returns
    made = inspect.signature(obj.__init__)
    fields = [part for part in made.parameters.values() if part.name != "self"]
    own = made.replace(parameters=fields, return_annotation=inspect.Signature.empty)
    return stringify_signature(own, unqualified_typehints=True), None


def setup(app: Sphinx) -> dict[str, Any]:
    """Add what this file defines."""
    app.add_directive("weights", Weights)
    app.add_directive("statement", Statement)
    app.add_directive("help", Help)
    app.connect("autodoc-process-signature", _own_parameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
