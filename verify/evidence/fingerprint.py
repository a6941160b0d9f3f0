"""A digest of what a run depends on that no number of it shows: the code of a construction, and this package's own.

Python cannot tell in general what a function depends on. :mod:`verify.evidence.feeder` says what is looked at, and
:mod:`verify.evidence.libraries` how the code of a library is told from that of another version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from constructions.specification import Specification
from verify.evidence.feeder import PLAIN, Feeder
from verify.evidence.held import attributes
from verify.evidence.libraries import OURS
from verify.evidence.verdict import library_versions


@lru_cache(maxsize=1)
def package_sha256() -> str:
    """Return a digest of the sources of this package, which a version does not name between releases."""
    digest = hashlib.sha256()
    for folder in OURS:
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size} ".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def surroundings() -> Mapping[str, str]:
    """Return the versions that a run depends on, and the digest of this package."""
    return {**library_versions(), "sources": package_sha256()}


def code_sha256(construction: Specification, *others: object, whole: tuple[object, ...] = ()) -> str:
    """Return a digest of the code of a construction, see the module's docstring.

    Args:
        construction: whose classes and fields are looked at.
        others: further objects, of which the class and the plain attributes are looked at, such as an arithmetic.
        whole: further objects, of which everything is looked at, such as a callable.

    """
    feeder = Feeder()
    for kind in (type(construction), *(type(other) for other in others)):
        feeder.feed(kind)
        feeder.module_source(kind.__module__)
    feeder.feed(attributes(construction))
    for other in others:  # what it is made with, and not what it keeps
        feeder.feed({name: held for name, held in vars(other).items() if isinstance(held, PLAIN)})
    feeder.feed(whole)
    return feeder.digest.hexdigest()
