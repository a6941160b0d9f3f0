"""The command ``export``: what it writes, how it verifies, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.own import SOURCE
from verify.cli.app import run


def _told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = run([str(word) for word in words])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.parametrize(
    ("form", "name", "files"),
    [
        ("safetensors", "m.safetensors", 1),
        ("bundle", "m", 4),
    ],
)
def test_write_and_verify(form: str, name: str, files: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / name
    words = ("export", "theorem-1", "--vocab", "4", "--context", "3", "--dtype", "float64", "--seed", "3")
    status, out, _ = _told(capsys, *words, "--sample", "5", "--format", form, "--out", str(path), "--json")
    document = json.loads(out)
    assert status == 0
    assert [verdict["holds"] for verdict in document["verdicts"]] == [True]
    assert document["verdicts"][0]["cases"] in {"4", "5"}
    assert document["verdicts"][0]["parameters"]["file"] == name
    assert len([entry for entry in (tmp_path / "new").rglob("*") if entry.is_file()]) == files
    status, out, _ = _told(capsys, "export", "--verify", str(path))
    assert status == 0
    assert "holds" in out
    assert f"from {name}" in out


def test_targets_that_are_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("export", "theorem-1", "--vocab", "4", "--context", "2", "--format", "bundle")
    targets = tmp_path / "targets.json"
    targets.write_text("[[3, 0], [1, 2]]")
    assert _told(capsys, *words, "--out", str(tmp_path / "a"), "--targets", str(targets))[0] == 0
    assert _told(capsys, *words, "--out", str(tmp_path / "b"), "--rank", "12", "--rank", "6")[0] == 0
    a, b = ((tmp_path / name / "cases.json").read_text() for name in "ab")
    assert a == b
    assert [case["target"] for case in json.loads(a)] == [[3, 0], [1, 2]]


@pytest.mark.usefixtures("own_folder")
def test_a_construction_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Promised is a shift that is not made: its export is falsified, and one without the shift holds."""
    Path("own.py").write_text(SOURCE)
    words = ("export", "own.py:Shifted", "--vocab", "3")
    write = ("--format", "safetensors", "--out", "m.safetensors")
    status, out, _ = _told(capsys, *words, "--shift", "1", *write)
    assert status == 1
    assert "FALSIFIED" in out
    assert _told(capsys, *words, *write)[0] == 0
    status, out, _ = _told(capsys, "export", "--verify", "m.safetensors")
    assert status == 1
    assert "is no registered claim's: name the claim and its sizes to verify it" in " ".join(out.split())
    assert _told(capsys, *words, "--verify", "m.safetensors")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("export", "export: expected CLAIM --format NAME --out PATH, or --verify PATH"),
        ("export theorem-1 --vocab 3 --context 2", "export: expected CLAIM --format NAME --out PATH, or --verify PATH"),
        (
            "export theorem-1 --vocab 3 --context 2 --format nothing --out x",
            "format: expected one of safetensors, onnx, torch-export, huggingface, bundle",
        ),
        (
            "export theorem-1 --vocab 3 --context 2 --format onnx --out x.pt2",
            "out: expected a file that ends in .onnx for onnx but got x.pt2",
        ),
        (
            "export theorem-1 --vocab 3 --context 2 --format bundle --out x --rank 9",
            "rank: expected an integer <= 8 but got 9 (type int)",
        ),
        (
            "export theorem-1 --vocab 3 --context 2 --format bundle --out x --rank one",
            "rank: expected a natural number but got 'one' (type str)",
        ),
        (
            "export theorem-1 --vocab 3 --context 2 --format bundle --out x --rank 1 --targets y",
            "targets: expected either --targets or --rank but got both",
        ),
        ("export theorem-1 --vocab 3 --context 2 --format bundle --out x --targets y", "y: No such file or directory"),
        ("export --verify x.onnx --out y", "verify: expected no --format, --out, --targets or --rank with it"),
        (
            "export --verify x.bin",
            "verify: expected an export, a file that ends in .safetensors, .onnx, .pt2 or a folder",
        ),
        (
            "export --verify x.safetensors",
            "safetensors x.safetensors: expected a regular file but x.safetensors is not one",
        ),
        (
            "export attention-bias --format bundle --out x",
            "claim: expected one of theorem-1, theorem-2, longer-responses, ",
        ),
    ],
)
def test_what_is_refused(
    words: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, errors = _told(capsys, *words.split())
    assert status == 2
    assert not out
    assert errors.startswith(f"error: {message}")
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())
