"""What tests of the digest of code leave behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from verify.evidence import libraries


@pytest.fixture
def forgotten_modules() -> Iterator[None]:
    """Forget the modules and distributions of each test."""
    before = {**sys.modules}
    yield
    libraries._installed.cache_clear()
    libraries.library_at.cache_clear()
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]
