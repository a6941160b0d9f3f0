"""Programs of torch.export in files: whole ones hold, and nothing else is loaded."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from constructions import UnconditionalGeneration
from tests.export.exports import SMALL, flipped, never_holds, outcome, written
from verify.export import EXPORTS
from verify.export.formats.torch_program import traced_program
from verify.export.verifying import Verification
from verify.running.torch_module import to_torch


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("program"), "torch-export")


def _resealed(content: bytes) -> bytes:
    body = content[:-66] + struct.pack("<H", 64)
    return body + hashlib.sha256(body).hexdigest().encode()


def test_a_program_of_torch(program: Path) -> None:
    assert outcome(program) == "holds"
    loaded = torch.export.load(program).module()
    module = to_torch(SMALL)
    prompts, tokens = module.prompt([[2, 0, 1]]), torch.zeros((1, 0), dtype=torch.int64)
    assert torch.equal(loaded(prompts, tokens), module(prompts, tokens))


def test_a_program_that_knows_the_cases_of_its_record_alone(program: Path) -> None:
    """The weights are there and are not used: the answers come from a table."""
    form = EXPORTS["torch-export"]
    held = form.read(program)
    [engine] = held.engines(SMALL)
    known = to_torch(SMALL).prompt(held.record.cases(SMALL)[0])

    def table(virtual: torch.Tensor, tokens: torch.Tensor) -> Any:
        listed = (virtual[:, None] == known[None]).flatten(2).all(-1).any(-1)
        return engine.call(virtual, tokens) * listed[:, None, None]

    lying = replace(held, engines=lambda construction: iter([replace(engine, call=table)]))
    [verdict] = Verification(form, lying, program, SMALL).verdicts()
    assert verdict.holds is False
    [verdict] = Verification(form, held, program, SMALL).verdicts()
    assert verdict.holds
    assert verdict.cases > len(held.record.ranks)


def test_nothing_in_a_program_is_a_pickle_or_a_path(program: Path) -> None:
    with zipfile.ZipFile(program) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert not held["archive/data/sample_inputs/model.pt"]
    here = str(Path(__file__).parents[2]).encode()
    assert not any(content.startswith(b"\x80") or here in content for content in held.values())


def test_a_changed_program(program: Path) -> None:
    whole = program.read_bytes()
    never_holds(program, flipped(whole, 2999))
    never_holds(program, ((stop, whole[:stop]) for stop in range(0, len(whole), 14983)))
    never_holds(program, iter([(0, _resealed(whole[: len(whole) // 2])), (1, whole + b"x")]))


@pytest.mark.parametrize("name", ["archive/data/constants/custom_obj_0", "archive/data/aotinductor/x.so", "../x"])
def test_a_program_with_members_of_other_kinds_is_not_loaded(name: str, program: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(program) as before, zipfile.ZipFile(path, "w") as after:
        for member in before.namelist():
            after.writestr(member, before.read(member))
        after.writestr(name, b"\x80\4.")
        after.comment = b"0" * 64
    path.write_bytes(_resealed(path.read_bytes()))
    assert "is there" in outcome(path)


def test_a_program_whose_members_overlap_is_not_loaded(tmp_path: Path) -> None:
    """A zip bomb without compression: the directory lists one large part of the file under many names."""
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data/weights/weight_0", bytes(10**5))
        made.writestr("archive/extra/prefixproof.json", b"{}")
        for number in range(1, 100):
            member = copy(made.infolist()[0])
            member.filename = member.orig_filename = f"archive/data/weights/weight_{number}"
            made.filelist.append(member)
            made.NameToInfo[member.filename] = member
        made.comment = b"0" * 64
    path.write_bytes(_resealed(path.read_bytes()))
    assert outcome(path) == "torch-export model.pt2: expected the members that torch writes, but they overlap"


def test_a_program_of_a_context_of_one_position() -> None:
    module = to_torch(UnconditionalGeneration(3, 1))
    made = traced_program(module).module()(module.prompt([[2]]), torch.zeros((1, 0), dtype=torch.int64))
    assert made[0, 0].argmax().item() == 2
