"""Proofs kept from run to run: all that a proof rests on makes another file, and a file that is not whole is none."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from constructions import InvalidArgument
from proofs import Decision, Obligation, ObligationUndecided, Proof, get_claim
from verify.cli import verifying
from verify.cli.app import run
from verify.evidence.tally import no_progress
from verify.evidence.verdict import Verdict
from verify.files.strict import canonical
from verify.suite import proof_cache
from verify.suite.proof_cache import ProofCache, cache_folder, sources
from verify.suite.provers import prove

CLAIM = get_claim("attention-bias")
(OBLIGATION,) = CLAIM.obligations
PROOF = Proof(OBLIGATION.id, (Decision("it holds", "x is zero"),), 0.25)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sources of a proof."""
    for package in ("constructions", "proofs"):
        (tmp_path / "root" / package).mkdir(parents=True)
        (tmp_path / "root" / package / "made.py").write_text("V = 1\n")
    return tmp_path / "root"


def opened(root: Path, started: float | None = None) -> ProofCache:
    return ProofCache(root.parent / "kept", time.time() + 1 if started is None else started, root)


def kept(root: Path) -> Path:
    opened(root).keep(OBLIGATION, PROOF)
    (path,) = (root.parent / "kept").iterdir()
    return path


def test_a_proof_is_kept_and_found_again(root: Path) -> None:
    assert opened(root).get(OBLIGATION) is None
    path = kept(root)
    assert opened(root).get(OBLIGATION) == PROOF
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_verdict_says_how_many_it_took(root: Path) -> None:
    fresh, first, second = (prove(CLAIM, no_progress, cache) for cache in (None, opened(root), opened(root)))
    assert [verdict.holds for verdict in (fresh, first, second)] == [True] * 3
    assert fresh.parameters == first.parameters == {"sizes": "all", "prover": "sympy"}
    assert second.parameters == {"sizes": "all", "prover": "sympy", "from the cache": 1}
    assert Verdict.from_json(second.to_json()) == second


def test_a_false_obligation_is_not_kept_and_takes_no_other_ones_proof(root: Path) -> None:
    def undecided(_: Any) -> Any:
        raise ObligationUndecided("undecided: nothing")
        yield

    path = kept(root)
    false = replace(OBLIGATION, id="attention-bias.false", check=undecided)
    opened(root).keep(false, Proof(false.id, (), 0.0))  # of no decision
    assert list(path.parent.iterdir()) == [path]
    verdict = prove(replace(CLAIM, obligations=(false,)), no_progress, opened(root))
    assert (verdict.holds, verdict.cases) == (None, 0)
    assert list(path.parent.iterdir()) == [path]
    opened(root)._path(false).write_bytes(path.read_bytes())
    opened(root)._path(false).chmod(0o600)
    assert opened(root).get(false) is None
    assert prove(replace(CLAIM, obligations=(false,)), no_progress, opened(root)).holds is None


# whatever it rests on -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["id", "statement", "latex"])
def test_other_words_are_another_obligation(root: Path, field: str) -> None:
    kept(root)
    assert opened(root).get(replace(OBLIGATION, **{field: getattr(OBLIGATION, field) + "."})) is None


def _edited(root: Path) -> None:
    (root / "proofs" / "made.py").write_text("V = 2\n")


def _added(root: Path) -> None:
    (root / "constructions" / "more.py").write_text("")


def _renamed(root: Path) -> None:
    (root / "constructions" / "made.py").rename(root / "constructions" / "other.py")


def _moved(root: Path) -> None:
    (root / "constructions" / "made.py").write_text("V = 1\nW = 2\n")
    (root / "proofs" / "made.py").write_text("")


@pytest.mark.parametrize("change", [_edited, _added, _renamed, _moved])
def test_other_sources_are_another_proof(root: Path, change: Callable[[Path], None]) -> None:
    kept(root)
    change(root)
    assert opened(root).get(OBLIGATION) is None


@pytest.mark.parametrize("library", ["sympy", "mpmath", "numpy", "python-flint"])
def test_another_version_of_a_library_is_another_proof(
    root: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(root)
    other = "0.0.1"
    monkeypatch.setattr(proof_cache, "version", lambda name: other if name == library else version(name))
    assert opened(root).get(OBLIGATION) is None


def test_another_python_or_another_switch_is_another_proof(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(root)
    with monkeypatch.context() as patch:
        patch.setattr(platform, "python_version", lambda: "3.99.0")
        assert opened(root).get(OBLIGATION) is None
    with monkeypatch.context() as patch:
        patch.setenv("SYMPY_GROUND_TYPES", "python")
        assert opened(root).get(OBLIGATION) is None
    assert opened(root).get(OBLIGATION) == PROOF


def test_sources_that_changed_since_the_process_started_are_not_those_that_run(root: Path) -> None:
    path = kept(root)
    started = max(source.stat().st_ctime for source in sources(root))
    assert opened(root, started).get(OBLIGATION) is None  # at the bound
    assert opened(root, started + 1e-6).get(OBLIGATION) == PROOF  # just beyond it
    path.unlink()
    opened(root, started).keep(OBLIGATION, PROOF)
    held = opened(root)
    source = root / "proofs" / "made.py"
    os.utime(source, (0, 0))  # an old time of writing, such as cp -p leaves: the time of the change is today's
    held._started = source.stat().st_ctime
    held.keep(OBLIGATION, PROOF)
    assert not path.exists()


def test_the_sources_are_all_of_both_packages() -> None:
    held = sources()
    assert {path.relative_to(proof_cache._ROOT).parts[0] for path in held} == {"constructions", "proofs"}
    assert Path(proof_cache.__file__).parents[2] / "proofs" / "decide.py" in held


# files that are not whole ---------------------------------------------------------------------------------------------


def test_a_file_cut_short_anywhere_is_no_proof(root: Path) -> None:
    path = kept(root)
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        assert opened(root).get(OBLIGATION) is None
    path.write_bytes(whole + b"\n")
    assert opened(root).get(OBLIGATION) is None


def test_a_byte_changed_anywhere_is_no_proof(root: Path) -> None:
    path, held = kept(root), opened(root)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert held.get(OBLIGATION) is None
    path.write_bytes(whole)
    assert held.get(OBLIGATION) == PROOF


@pytest.mark.parametrize("content", [b"", b"null\n", b"[]\n", b"{}\n", b'{"decisions": 3}\n', b"\xff", b"[" * 100_000])
def test_a_file_of_anything_else_is_no_proof(root: Path, content: bytes) -> None:
    kept(root).write_bytes(content)
    assert opened(root).get(OBLIGATION) is None


def test_a_proof_of_nothing_is_no_proof(root: Path) -> None:
    path, held = kept(root), opened(root)
    path.write_text(canonical(held._document(OBLIGATION, Proof(OBLIGATION.id, (), 0.25))))
    assert held.get(OBLIGATION) is None


def test_whoever_can_write_there_can_make_a_proof(root: Path) -> None:
    """The reason why it is not used by default: a forger knows the digests as well as we do."""
    path = kept(root)
    document = json.loads(path.read_text())
    del document["sha256"]
    document["decisions"] = [{"what": "forged", "shown": "forged"}]
    document["sha256"] = proof_cache._sha256(document)
    path.write_text(canonical(document))
    found = opened(root).get(OBLIGATION)
    assert found is not None
    assert found.decisions == (Decision("forged", "forged"),)
    assert prove(CLAIM, no_progress).parameters == {"sizes": "all", "prover": "sympy"}  # asks nobody


def test_a_folder_or_file_of_others_is_not_used(root: Path) -> None:
    path = kept(root)
    for mode in (0o620, 0o602):
        path.chmod(mode)
        assert opened(root).get(OBLIGATION) is None
    path.chmod(0o600)
    other = path.rename(path.with_name("other"))
    path.symlink_to(other)
    assert opened(root).get(OBLIGATION) is None
    for mode in (0o770, 0o707):
        path.parent.chmod(mode)
        with pytest.raises(InvalidArgument, match=r"^cache: expected a folder that is yours and that nobody else can"):
            opened(root)


def test_writers_at_once_leave_a_whole_file(root: Path) -> None:
    path, ended, wrong = kept(root), threading.Event(), []

    def write(seconds: float) -> None:
        held = opened(root)
        while not ended.is_set():
            held.keep(OBLIGATION, replace(PROOF, seconds=seconds))

    writers = [threading.Thread(target=write, args=(float(number),)) for number in range(3)]
    for writer in writers:
        writer.start()
    held = opened(root)
    for _ in range(200):
        found = held.get(OBLIGATION)
        if found is None or found.decisions != PROOF.decisions:
            wrong.append(found)
    ended.set()
    for writer in writers:
        writer.join()
    assert wrong == []
    assert list(path.parent.iterdir()) == [path]


# on the command line --------------------------------------------------------------------------------------------------


def test_where_it_is() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/somewhere"}) == Path("/somewhere/prefixproof/obligations")
    for environment in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}):
        assert cache_folder(environment) == Path.home() / ".cache" / "prefixproof" / "obligations"


def _proved(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert run(["verify", "attention-bias", "--dtype", "float32", "--examples", "1", "--json", *words]) == 0
    verdict: dict[str, Any] = json.loads(capsys.readouterr().out)["verdicts"][0]
    assert verdict["method"] == "proved"
    return dict(verdict["parameters"])


def test_it_is_used_where_it_is_asked_for_and_never_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(verifying, "STARTED", time.time() + 1)
    plain = {"sizes": "all", "prover": "sympy"}
    assert _proved(capsys) == plain
    assert _proved(capsys, "--no-cache") == plain
    assert not list(tmp_path.iterdir())
    assert _proved(capsys, "--cache") == plain
    assert _proved(capsys, "--cache") == {**plain, "from the cache": 1}
    assert _proved(capsys) == plain


def test_a_process_that_does_not_know_when_it_started_has_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verifying, "STARTED", None)
    assert run(["verify", "attention-bias", "--cache"]) == 2
    assert capsys.readouterr().err.startswith("error: cache: expected a process of the command line's own")


def test_an_obligation_has_no_memory_of_its_own() -> None:
    """A changed check is decided again in the same process."""
    calls = []

    def counted(subject: Any) -> Any:
        calls.append(subject)
        yield Decision("counted", "so")

    obligation = Obligation("attention-bias.counted", "counted", "", counted, lambda: None)
    assert obligation.discharge().holds
    assert obligation.discharge().holds
    assert len(calls) == 2
