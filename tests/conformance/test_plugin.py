"""The pytest plugin: in a kernel author's suite a right kernel passes, and each wrong one fails with its case."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

# a run within this process forgets what it imports: what is here already is one and the same in all of them
import tests.conformance.kernels  # noqa: F401
import verify.conformance.backends.own  # noqa: F401
from tests.conformance.kernels import CONSTRUCTION
from verify import pytest_plugin
from verify.export import write_export

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

#: Whether every run has the plugin by itself, as the package was installed with it.
INSTALLED = bool(entry_points(group="pytest11", name="prefixproof"))

_HEAD = """
import numpy as np
import pytest
from tests.conformance import kernels

known = pytest.mark.known_answers("theorem-1", vocab_size=7, context_size=2, cases=12)
"""


def _run(pytester: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(test_of_mine=_HEAD + body)
    plugins = [] if INSTALLED else [pytest_plugin]
    return pytester.runpytest_inprocess("--strict-markers", "-p", "no:cacheprovider", *options, plugins=plugins)


def test_right_kernels_pass(pytester: pytest.Pytester) -> None:
    body = """
@known
@pytest.mark.parametrize("kernel", [kernels.right, kernels.last, kernels.module(), kernels.mutating])
def test_kernel(conformance, kernel):
    row = conformance(kernel)
    assert row.right == row.cases == 12

@known
def test_tokens(conformance):
    conformance(kernels.whole, gives="tokens")
    conformance(kernels.last, batched=False, bitwise=True)

@pytest.mark.known_answers("theorem-2", vocab=2, dtype="float16")
@pytest.mark.known_answers("theorem-2", vocab=3)
def test_each_marker(known_answers):
    assert (len(known_answers), known_answers.fmt.name) in {(8, "float16"), (81, "float32")}
"""
    _run(pytester, body).assert_outcomes(passed=7)


#: Wrong kernels, and the line that each of them fails with.
WRONG = [
    (
        "kernels.bias_dropped()",
        "*target ?0, 0? must give 0 at response position 0, but 0 ties with a later token*",
    ),
    ("kernels.transposed", "*target ?* must give * at response position *, but * was produced*"),
    ("kernels.by_place", "*must give * at response position *, and gives * of a batch of 12; alone it is right"),
    ("kernels.last_of_batch", "*at place 11 of a batch of 12; alone it is right"),
    ("kernels.nan", "*must give 0 at response position 0, but * was produced, and a logit is not finite*"),
    ("kernels.tied", "*target ?0, 0? must give 0 at response position 0, but 0 ties with*"),
    ("kernels.shifted", "*logit 0 at response position 0 of target ?0, 0? must be in *, but it is *"),
    ("kernels.in_half_precision", "*logit * must be in *, but it is *"),
    ("kernels.Remembering()", "*must give *"),
    ("kernels.Tiring(13)", "*is not when asked again*"),
    ("kernels.integers", "*expected logits from callable integers float32, floats of at most 64 bits*"),
    ("3", "*call: expected a function of virtual tokens and tokens*but got 3*"),
]


def test_wrong_kernels_fail_with_their_case(pytester: pytest.Pytester) -> None:
    """Each kernel in a test of its own, all in one run."""
    tests = (f"@known\ndef test_{n}(conformance):\n    conformance({kernel})\n" for n, (kernel, _) in enumerate(WRONG))
    result = _run(pytester, "\n".join(tests))
    result.assert_outcomes(failed=len(WRONG))
    told = result.stdout.str().split("__ test_")[1:]
    assert len(told) == len(WRONG)
    for (_, line), said in zip(WRONG, told, strict=True):
        pytest.LineMatcher(said.splitlines()).fnmatch_lines([line])


def test_bits_that_depend_on_the_batch_fail_where_that_is_asked(pytester: pytest.Pytester) -> None:
    body = """
from constructions import Domain, specify

def kernel(virtual, tokens):
    return np.eye(5)[tokens[:, -1]] * (2 if len(tokens) == 7 else 1)

@pytest.mark.parametrize("bitwise", [False, True])
@pytest.mark.known_answers(specify(Domain.of(5, 2), lambda x: x[:, -1:]))
def test_bits(conformance, bitwise):
    assert conformance(kernel, bitwise=bitwise).independent is False
"""
    result = _run(pytester, body)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["14 of 16 cases gave other bits in a batch of 7"])


def test_a_case_at_a_time(pytester: pytest.Pytester) -> None:
    body = """
@known
def test_case(known_answer):
    tokens = np.zeros((1, 0), dtype=np.int64)
    for position, promised in enumerate(known_answer.promised):
        logits = kernels.last(known_answer.virtual_tokens[None], tokens)[0]
        known_answer.check_logits(logits, position)
        assert (abs(logits.numpy() - known_answer.exact[position]) <= known_answer.allowance[position]).all()
        tokens = np.append(tokens, [[promised]], axis=1)
    known_answer.check_tokens(tokens)

@pytest.mark.known_answers("theorem-1", vocab=2, context=2)
def test_wrong(known_answer):
    known_answer.check_tokens([0, 1])
"""
    result = _run(pytester, body)
    result.assert_outcomes(passed=12 + 1, failed=3)
    result.stdout.fnmatch_lines(["*target ?1, 0? must give 1 at response position 0, but 0 was produced"])


def test_a_construction_of_ones_own_and_a_class_of_tests(pytester: pytest.Pytester) -> None:
    body = """
from constructions import UnconditionalGeneration

@pytest.mark.known_answers(kernels.CONSTRUCTION, cases=5)
class TestKernel:
    def test_tokens(self, conformance):
        conformance(kernels.whole, gives="tokens")
    def test_logits(self, conformance):
        conformance(kernels.last)

@pytest.mark.known_answers("theorem-1", vocab=3, context=2, temperature=1.0)
def test_blunt(known_answers):
    assert known_answers.specification == UnconditionalGeneration(3, 2, temperature=1.0)
"""
    _run(pytester, body).assert_outcomes(passed=3)


def test_a_bundle_in_the_place_of_a_claim(pytester: pytest.Pytester) -> None:
    write_export(CONSTRUCTION, pytester.path / "known", "bundle", sample=6, claim="theorem-1")
    write_export(CONSTRUCTION, pytester.path / "own", "bundle", sample=6)
    body = """
@pytest.mark.known_answers(bundle="known")
def test_known(conformance, known_answers):
    assert len(known_answers) == 6
    conformance(kernels.last)

@pytest.mark.known_answers(bundle="known")
def test_shifted(conformance):
    conformance(kernels.shifted)

@pytest.mark.known_answers(bundle="known")
def test_case(known_answer):
    known_answer.check_tokens(known_answer.promised)

@pytest.mark.known_answers(kernels.CONSTRUCTION, bundle="own")
def test_own(conformance):
    conformance(kernels.whole, gives="tokens")

@pytest.mark.known_answers(bundle="own")
def test_nobody_knows_whose(conformance):
    conformance(kernels.last)

@pytest.mark.known_answers(bundle="nowhere")
def test_nowhere(conformance):
    conformance(kernels.last)

@pytest.mark.known_answers("theorem-1", vocab=7, context=2, bundle="known")
def test_both(conformance):
    conformance(kernels.last)
"""
    result = _run(pytester, body)
    result.assert_outcomes(passed=1 + 6 + 1, failed=1, errors=3)
    for line in (
        "*bundle: expected one of a registered claim, or its construction beside it*",
        "*bundle nowhere: expected a folder*",
        "*known_answers: expected no sizes, dtype, cases or seed beside a bundle*",
    ):
        result.stdout.fnmatch_lines([line])


def test_a_bundle_that_was_changed_is_refused(pytester: pytest.Pytester) -> None:
    write_export(CONSTRUCTION, pytester.path / "known", "bundle", sample=6, claim="theorem-1")
    file = pytester.path / "known" / "cases.json"
    file.write_text(file.read_text().replace("1", "2", 1))
    result = _run(pytester, '@pytest.mark.known_answers(bundle="known")\ndef test_it(known_answer):\n    pass\n')
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*bundle known: expected cases.json as the manifest has it but it was changed"])


def test_a_test_that_checks_nothing_fails(pytester: pytest.Pytester) -> None:
    body = """
@known
def test_never_called(conformance):
    pass

@known
def test_skipped(conformance):
    pytest.skip("no device")

@known
def test_failed(conformance):
    assert False

def test_unmarked(conformance):
    pass
"""
    result = _run(pytester, body)
    result.assert_outcomes(passed=1, errors=2, skipped=1, failed=1)
    result.stdout.fnmatch_lines(["*conformance: expected the test to call it, but it never did"])
    result.stdout.fnmatch_lines(["*known_answers: expected a test marked @pytest.mark.known_answers('theorem-1'*"])


_CLAIM = "*claim: expected one of theorem-1, theorem-2*"
_SIZES = "'theorem-1', vocab=3, context=2"
#: Markers that ask for nothing that there is, the fixture of the test, and the line that it fails with.
BAD = [
    (_SIZES, "", "*expected a test that is marked known_answers to take known_answer*"),
    ("'theorem-9'", "known_answer", _CLAIM),
    (f"{_SIZES}, cases=0", "known_answer", "*cases: expected an integer >= 1 but got 0*"),
    ("", "known_answer", "*known_answers: expected one claim, such as 'theorem-1', or one construction*"),
]
MORE = [
    ("'theorem-9'", "conformance", _CLAIM),
    ("'theorem-1', vocab=3", "known_answers", "*context: expected a value, as theorem-1 needs vocab, context*"),
    (f"{_SIZES}, dtype='half'", "known_answers", "*dtype: expected one of float64*"),
    ("3", "known_answer", "*known_answers: expected the id of a claim, or a construction but got 3*"),
]


@pytest.mark.parametrize(
    ("marker", "takes", "message"), [*BAD, *(pytest.param(*row, marks=pytest.mark.heavy) for row in MORE)]
)
def test_a_bad_marker_is_one_line(pytester: pytest.Pytester, marker: str, takes: str, message: str) -> None:
    result = _run(pytester, f"@pytest.mark.known_answers({marker})\ndef test_kernel({takes}):\n    pass\n")
    assert result.ret != 0
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
    assert "Traceback" not in result.stdout.str()


def test_the_marker_is_declared_and_described(pytester: pytest.Pytester) -> None:
    result = _run(pytester, "", "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.known_answers(claim, *, dtype='float32', cases=200, seed=0*"])


def test_other_suites_import_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\ndef test_nothing():\n"
        "    slow = {'torch', 'sympy', 'numpy', 'flint', 'constructions', 'proofs'}\n"
        "    assert not slow & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "verify.pytest_plugin"]
    blocked = ["-p", "no:prefixproof", *(word for name in _others() for word in ("-p", f"no:{name}"))]
    done = subprocess.run([*command, *blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _others() -> list[str]:
    """Return the plugins of other packages here, of which some import numpy."""
    return [entry.name for entry in entry_points(group="pytest11") if entry.name != "prefixproof"]


def test_the_suite_of_the_guide_passes(pytester: pytest.Pytester) -> None:
    page = (ROOT / "docs" / "how-to" / "conformance.md").read_text(encoding="utf-8")
    files = dict(re.findall(r"^```py(?:thon)?\n# (\w+)\.py\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE))
    pytester.makepyfile(**files)
    pytester.syspathinsert()
    _run(pytester, "", "test_kernels.py").assert_outcomes(passed=1 + 10)


def test_the_plugin_is_an_entry_point_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["pytest11"] == {"prefixproof": pytest_plugin.__name__}
