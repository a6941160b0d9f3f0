"""The memory of the machine that this runs on."""

from __future__ import annotations

import os


def machine_memory() -> int:
    """Return the bytes of memory that the machine has; all that can be counted where that is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**63 - 1
