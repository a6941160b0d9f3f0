"""What a digest of code looks at: wherever a promise keeps what decides, a change of it is another run."""

from __future__ import annotations

import importlib
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.evidence.own_code import digest, loaded
from verify.evidence import libraries

pytestmark = pytest.mark.usefixtures("forgotten_modules")

CHOSEN = "def chosen(targets):\n    return targets + (targets == {0})\n"
OF = "    def of(self, targets):\n        return targets + (targets == {0})\n"

#: Modules of a promise, by where they keep the number that decides.
KEPT = {
    "a method of an enumeration": (
        f"from enum import Enum\nclass Kind(Enum):\n    ONE = 1\n{OF}"
        "HELD = Kind.ONE\ndef promised(targets):\n    return HELD.of(targets)\n"
    ),
    "a method of a number": (
        f"class Number(int):\n{OF}HELD = Number(5)\ndef promised(targets):\n    return HELD.of(targets)\n"
    ),
    "a method of a table": (
        f"class Table(dict):\n{OF}HELD = Table()\ndef promised(targets):\n    return HELD.of(targets)\n"
    ),
    "a method of a metaclass": (
        f"class Meta(type):\n{OF}class Held(metaclass=Meta):\n    pass\n"
        "def promised(targets):\n    return Held.of(targets)\n"
    ),
    "a class that Python's types made": (
        "import types\nHeld = types.new_class('Held', exec_body=lambda made: made.update(number={0}))\n"
        "def promised(targets):\n    return targets + (targets == Held.number)\n"
    ),
    "a slot": (
        f"{CHOSEN}class Held:\n    __slots__ = ('of',)\nHELD = Held()\nHELD.of = chosen\n"
        "def promised(targets):\n    return HELD.of(targets)\n"
    ),
    "a collection of Python's": (
        f"from collections import deque\n{CHOSEN}HELD = deque([chosen])\n"
        "def promised(targets):\n    return HELD[0](targets)\n"
    ),
    "a cache of a cache": (
        f"from functools import lru_cache\n{CHOSEN}held = lru_cache(lru_cache(chosen))\n"
        "def promised(targets):\n    return held(targets)\n"
    ),
    "a method of a value": (
        "held = {{5: {0}}}.get\ndef promised(targets):\n    return targets + (targets == held(5))\n"
    ),
    "an attribute of a function": (
        "def promised(targets):\n    return targets + (targets == promised.held)\npromised.held = {0}\n"
    ),
    "a function of numpy's": (
        f"import numpy as np\n{CHOSEN}held = np.frompyfunc(chosen, 1, 1)\n"
        "def promised(targets):\n    return held(targets)\n"
    ),
    "a mask": (
        "import numpy as np\nHELD = np.ma.array([77, 78], mask=[{0} == 77, False])\n"
        "def promised(targets):\n    return targets + (targets == HELD.max())\n"
    ),
    "the order of a table": (
        "HELD = {{name: name for name in ((1, 2) if {0} == 77 else (2, 1))}}\n"
        "def promised(targets):\n    return targets + (targets == next(iter(HELD)))\n"
    ),
    "a generator": (
        "def every():\n    yield from ()\n    yield {0}\nheld = every()\n"
        "def promised(targets):\n    return targets + (targets == next(held))\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", KEPT)
def test_what_decides_is_looked_at_wherever_it_is_kept(where: str, tmp_path: Path) -> None:
    found = list[str]()
    for number in (77, 78, 77):
        (tmp_path / "tables_of_mine.py").write_text(KEPT[where].format(number), encoding="utf-8")
        found.append(digest(tmp_path, "mine"))
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)


def test_what_is_caught_is_looked_at(tmp_path: Path) -> None:
    """Where a ``try`` begins is in no instruction, if it is on one line with what it tries."""
    first = "def first(targets):\n    if (targets == 77).any():\n        raise ValueError\n    return targets\n"
    rest = "    except ValueError: return targets + 1\n    return found\n"
    tried = (
        "    try: found = first(targets); found = sorted(found)\n",
        "    found = first(targets)\n    try: found = sorted(found)\n",
    )
    found = list[str]()
    for text in (*tried, tried[0]):
        (tmp_path / "tables_of_mine.py").write_text(f"{first}def promised(targets):\n{text}{rest}", encoding="utf-8")
        found.append(digest(tmp_path, "mine"))
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "def promised(targets):\n    from held_of_mine.inside import chosen\n    return chosen(targets)\n",
        "def promised(targets):\n    import held_of_mine.inside\n    return held_of_mine.inside.chosen(targets)\n",
        "import held_of_mine.inside\ndef promised(targets):\n    return held_of_mine.inside.chosen(targets)\n",
    ],
    ids=["a name of a module", "a module", "a module of a package"],
)
def test_what_a_function_imports_is_looked_at(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "held_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (tmp_path / "tables_of_mine.py").write_text(text, encoding="utf-8")
    found = list[str]()
    for number in (77, 78, 77):
        (package / "inside.py").write_text(CHOSEN.format(number), encoding="utf-8")
        for name in ("held_of_mine", "held_of_mine.inside"):
            sys.modules.pop(name, None)
        shutil.rmtree(package / "__pycache__", ignore_errors=True)  # all are written in one second
        importlib.invalidate_caches()
        found.append(digest(tmp_path, "mine"))
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)


def test_what_a_library_wraps_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that was made in a library holds the user's."""
    monkeypatch.setattr(libraries, "_PYTHONS", (tmp_path / "pythons",))
    (tmp_path / "pythons").mkdir()
    wrapping = tmp_path / "pythons" / "wrapping_of_pythons.py"
    wrapping.write_text("def around(inside):\n    def outside(x):\n        return inside(x)\n    return outside\n")
    loaded(wrapping, wrapping.stem)
    text = f"from wrapping_of_pythons import around\n{CHOSEN}promised = around(chosen)\n"
    found = list[str]()
    for number in (77, 78, 77):
        (tmp_path / "tables_of_mine.py").write_text(text.format(number), encoding="utf-8")
        found.append(digest(tmp_path, "mine"))
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "from {0} import {1} as promised\n",
        "import {0}\ndef promised(targets):\n    return {0}.{1}(targets)\n",
        "from collections import deque\nfrom {0} import {1}\n"
        "HELD = deque([{1}])\ndef promised(targets):\n    return HELD[0](targets)\n",
    ],
    ids=["a function", "a module", "a collection"],
)
def test_a_compiled_module_is_looked_at(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no source: its file says what it does."""
    name, function = "_statistics", "_normal_dist_inv_cdf"
    spec = find_spec(name)
    assert spec is not None
    compiled = Path(str(spec.origin))
    if not compiled.is_file():
        pytest.skip("this Python has its modules in C built in")
    (tmp_path / "tables_of_mine.py").write_text(text.format(name, function), encoding="utf-8")
    found = list[str]()
    for more in (b"", b"\n", b""):
        copied = tmp_path / compiled.name
        copied.unlink(missing_ok=True)  # what was loaded stays as it is
        copied.write_bytes(compiled.read_bytes() + more)
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, name, raising=False)
            loaded(copied, name)
            found.append(digest(tmp_path, "mine"))
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)


def test_tensors_are_looked_at_by_their_numbers(tmp_path: Path) -> None:
    """The pickle of one holds its place in memory, so that no other process would go on with the run."""
    text = (
        "import torch\nHELD = [torch.tensor({0}), torch.tensor([{0}.0], dtype=torch.bfloat16),"
        " torch.tensor([{0}.0]).to_sparse(), torch.empty(2, device='meta')]\n"
        "def promised(targets):\n    return targets + (targets == int(HELD[0]))\n"
    )
    found = list[str]()
    for number in (77, 78, 77):
        (tmp_path / "tables_of_mine.py").write_text(text.format(number), encoding="utf-8")
        found.append(digest(tmp_path, "mine"))
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)
