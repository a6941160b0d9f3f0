"""A pytest plugin: known answers as parameters of a test, and a fixture that holds a kernel against all of them.

It is there where this package is installed. A test that is marked so imports the rest of the package; no other does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from constructions.specification import Specification
    from verify.conformance import KnownAnswers, KnownCase, Row

_MARKER = "known_answers"
_SYNTAX = (
    f"{_MARKER}(claim, *, dtype='float32', cases=200, seed=0, **sizes): the known answers of a claim or construction,"
    " or with bundle='folder' of a bundle beside the test, for the fixtures known_answer (one case each), known_answers"
    " (all) and conformance (checks a kernel)"
)
#: Whether the test itself passed, before its fixtures end.
_passed = pytest.StashKey[bool]()
#: Known answers by how a marker asks for them.
_held = pytest.StashKey["dict[Any, KnownAnswers]"]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _SYNTAX)
    config.stash[_held] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a marked test a case at a time, or one marker's known answers at a time."""
    marks = list(metafunc.definition.iter_markers(_MARKER))
    if not marks:
        return
    asked = {"known_answer", "known_answers"} & set(metafunc.fixturenames)
    if not asked:
        raise pytest.Collector.CollectError(
            f"{metafunc.definition.name}: expected a test that is marked {_MARKER} to take known_answer, known_answers"
            " or conformance: without them it checks nothing"
        )
    if "known_answer" in asked:
        folder = metafunc.definition.path.parent
        cases = [(mark, place) for mark in marks for place in range(_count(metafunc.config, mark, folder))]
        names = [f"{_said(mark)}-{place}" for mark, place in cases]
        metafunc.parametrize("known_answer", cases, ids=names, indirect=True)
    if "known_answers" in asked:
        metafunc.parametrize("known_answers", marks, ids=[_said(mark) for mark in marks], indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note of a marked test whether it passed."""
    report = yield
    if call.when == "call" and item.get_closest_marker(_MARKER) is not None:
        item.stash[_passed] = report.passed  # type: ignore[attr-defined] # what the hook's other implementations give
    return report


@pytest.fixture
def known_answer(request: pytest.FixtureRequest) -> KnownCase:
    """One case: its virtual tokens, the user's tokens, the promised tokens, exact logits and what is allowed."""
    from verify.conformance import case_of  # noqa: PLC0415 # nothing is imported before a marked test runs

    mark, place = _param(request)
    return case_of(_answers(request, mark), place)


@pytest.fixture
def known_answers(request: pytest.FixtureRequest) -> KnownAnswers:
    """All cases of the marker."""
    return _answers(request, _param(request))


class Conformance:
    """Holds kernels against known answers: ``conformance(kernel)`` fails the test where one is wrong.

    Attributes:
        answers: the known answers.
        calls: how often it was called.

    """

    def __init__(self, answers: KnownAnswers) -> None:
        """Hold them."""
        self.answers, self.calls = answers, 0

    def __call__(self, kernel: Any, *, gives: Any = "logits", batched: bool = True, bitwise: bool = False) -> Row:
        """Fail the test unless a kernel gives all known answers; return what was measured.

        Args:
            kernel: a function of virtual tokens and tokens as :class:`~verify.CallableBackend` calls it, a
                ``torch.nn.Module``, or a backend.
            gives: what a function gives: ``logits``, or ``tokens``, of which no margins are known.
            batched: whether a function takes several cases at once.
            bitwise: whether a bit of a logit that depends on the batch fails the test too.

        """
        from verify.conformance import judge  # noqa: PLC0415 # as above
        from verify.conformance.backends.own import as_own  # noqa: PLC0415 # the same

        self.calls += 1
        backend = as_own(kernel, self.answers.fmt.name, gives=gives, batched=batched)
        row = judge(self.answers, backend)
        failures = row.failures()
        if bitwise and row.independent is False:
            failures += [line for batch in row.batches if (line := batch.sentence()) is not None]
        if failures or not row.passed:
            pytest.fail("\n".join(failures) or f"{row.backend}: not shown", pytrace=False)
        return row


@pytest.fixture
def conformance(request: pytest.FixtureRequest, known_answers: KnownAnswers) -> Iterator[Conformance]:
    """Check a kernel against all cases of the marker; a test that passes without calling it fails."""
    checked = Conformance(known_answers)
    yield checked
    if not checked.calls and request.node.stash.get(_passed, False):
        pytest.fail("conformance: expected the test to call it, but it never did", pytrace=False)


def _param(request: pytest.FixtureRequest) -> Any:
    if not hasattr(request, "param"):
        pytest.fail(
            f"{request.fixturename}: expected a test marked @pytest.mark.{_MARKER}('theorem-1', vocab_size=4, ...)",
            pytrace=False,
        )
    return request.param


def _said(mark: pytest.Mark) -> str:
    """Return a marker in a few words, as an id of a test."""
    words = [str(getattr(arg, "__name__", arg)) for arg in mark.args]
    return "-".join([*words, *(f"{name}={value}" for name, value in mark.kwargs.items())]) or _MARKER


def _asked(mark: pytest.Mark) -> tuple[Specification | None, dict[str, Any]]:
    """Return the construction that a marker asks for, if there is one, and the settings beside it.

    Raises:
        InvalidArgument: another number of arguments, an unknown claim, or sizes that it does not have.

    """
    from constructions.specification import Specification  # noqa: PLC0415 # as above
    from constructions.validation import reject  # noqa: PLC0415 # the same
    from verify.requests import claim_of  # noqa: PLC0415 # the same

    settings = {name: mark.kwargs[name] for name in ("dtype", "cases", "seed", "bundle") if name in mark.kwargs}
    fields = {name: value for name, value in mark.kwargs.items() if name not in settings}
    if "bundle" in settings and (len(settings) > 1 or fields):
        reject(_MARKER, "no sizes, dtype, cases or seed beside a bundle, which has its own", dict(mark.kwargs))
    if not mark.args and "bundle" in settings:
        return None, settings
    if len(mark.args) != 1:
        reject(_MARKER, "one claim, such as 'theorem-1', or one construction", mark.args)
    given = mark.args[0]
    if isinstance(given, Specification):
        if fields:
            reject(_MARKER, "no sizes beside a construction", fields)
        return given, settings
    if not isinstance(given, str):
        reject(_MARKER, "the id of a claim, or a construction", given)
    claim = claim_of(given, built=True)
    sizes = {name: value for name, value in fields.items() if {name, f"{name}_size"} & set(claim.sizes.defaults)}
    return claim.build(sizes, {name: value for name, value in fields.items() if name not in sizes}), settings


def _count(config: pytest.Config, mark: pytest.Mark, folder: Path) -> int:
    """Return how many cases a marker asks for."""
    from constructions.validation import InvalidArgument  # noqa: PLC0415 # as above
    from verify.conformance.answers import count_of  # noqa: PLC0415 # the same

    try:
        specification, settings = _asked(mark)
        if specification is None or "bundle" in settings:
            return len(_made(config, mark, folder))
        return count_of(specification, settings.get("cases", 200))
    except (InvalidArgument, OSError) as error:
        raise pytest.Collector.CollectError(str(error)) from None


def _answers(request: pytest.FixtureRequest, mark: pytest.Mark) -> KnownAnswers:
    """Return the known answers of a marker; fail the test where there are none."""
    from constructions.validation import InvalidArgument  # noqa: PLC0415 # as above

    try:
        return _made(request.config, mark, request.path.parent)
    except (InvalidArgument, OSError) as error:
        pytest.fail(str(error), pytrace=False)


def _made(config: pytest.Config, mark: pytest.Mark, folder: Path) -> KnownAnswers:
    """Return the known answers of a marker, made once for all tests that ask for the same."""
    from verify.conformance import answers_of_bundle  # noqa: PLC0415 # as above
    from verify.conformance import known_answers as made  # noqa: PLC0415 # the same

    key, held = _key(mark, folder), config.stash[_held]
    if key not in held:
        specification, settings = _asked(mark)
        bundle = settings.pop("bundle", None)
        if bundle is not None:
            given: Any = specification
            held[key] = answers_of_bundle(folder / bundle, given)
        else:
            assert specification is not None, "without a bundle there is one"
            held[key] = made(specification, **settings)
    return held[key]


def _key(mark: pytest.Mark, folder: Path) -> Any:
    values = (*mark.args, *mark.kwargs.values())
    if all(isinstance(value, (str, int, float, Path)) for value in values):
        return (folder if "bundle" in mark.kwargs else None, mark.args, tuple(sorted(mark.kwargs.items())))
    return id(mark)
