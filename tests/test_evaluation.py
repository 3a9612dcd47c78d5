"""The verdict table: toy claims that reach every row, and the graph that they are made of."""

from fractions import Fraction

import numpy as np
import pytest

from verify import (
    Claim,
    Interval,
    Record,
    SetupError,
    at_most,
    equal,
    evaluate,
    exact,
    less,
    rounded,
    stated,
    statistics,
)
from verify.verdict import misuse_of_stated


def sum_of_odds(check=True, control=True):
    """1 + 3 + ... + (2n - 1) = n^2."""
    claim = Claim("toy/sum-of-odds", cases={"n": (1, 2, 10)}, full={"cases": {"n": (1_000,)}})

    @claim.reference
    def square(n, exponent=2):
        return exact(n**exponent)

    @claim.run
    def total(n, first=1):
        return exact(sum(first + 2 * i for i in range(n)))

    if check:

        @claim.check("sum")
        def agree(total, square):
            return equal(total, square)

    if control:
        claim.control("starting from 2", first=2, must_fail="sum")
    return claim


def interval(lower, upper):
    return Interval(lower, upper, "numerical", "made for a test")


def test_a_true_theorem_is_verified():
    evidence = evaluate(sum_of_odds())
    assert evidence.verdict == "verified"
    assert evidence.grade == "exact"
    assert evidence.check("sum")["points"] == 3
    assert [control["rejected"] for control in evidence.data["controls"]] == [True]
    assert evidence.data["parameters"] == {"exponent": 2, "first": 1}


def test_full_size_may_change_the_cases():
    evidence = evaluate(sum_of_odds(), size="full")
    assert evidence.cases == [{"n": 1_000}]
    assert evidence.verdict == "verified"


def test_a_wrong_theorem_is_refuted():
    evidence = evaluate(sum_of_odds(), exponent=3)
    assert evidence.verdict == "refuted"
    # n = 1 holds by accident; the decisive case is one that fails
    assert evidence.check("sum")["at"]["n"] in (2, 10)


def test_a_wrong_theorem_is_refuted_through_replace():
    assert evaluate(sum_of_odds().replace(square=lambda square: square + 1)).verdict == "refuted"


def test_a_control_that_passes_makes_it_vacuous():
    claim = sum_of_odds()
    claim.control("nothing that matters", first=1, must_fail="sum")
    evidence = evaluate(claim)
    assert evidence.verdict == "vacuous"
    assert "nothing that matters" in evidence.data["reason"]


def test_a_check_that_no_control_names_makes_it_vacuous():
    evidence = evaluate(sum_of_odds(control=False))
    assert evidence.verdict == "vacuous"
    assert "sum" in evidence.data["reason"]


def test_a_control_must_be_rejected_in_every_case():
    claim = sum_of_odds(control=False)
    claim.control("cube", exponent=3, must_fail="sum")  # 1^3 = 1^2
    assert evaluate(claim).verdict == "vacuous"
    claim = sum_of_odds(control=False)
    claim.control("cube", exponent=3, must_fail="sum", cases={"n": (2, 10)})
    assert evaluate(claim).verdict == "verified"


def bounded(value, bound=interval(1.0, 1.0), control_value=interval(2.0, 2.0), assumption=None):
    """value <= bound, with a control that measures control_value."""
    claim = Claim("toy/bounded")

    @claim.reference
    def limit():
        return bound

    @claim.run
    def measured():
        return value

    if assumption is not None:

        @claim.assumption
        def premise():
            return less(0, assumption)

    @claim.check("below")
    def below(measured, limit):
        return at_most(measured, limit)

    claim.control("larger", measured=lambda: control_value, must_fail="below")
    return claim


@pytest.mark.parametrize(
    ("verdict", "arguments"),
    [
        ("verified", {"value": interval(0.4, 0.6)}),
        ("refuted", {"value": interval(1.4, 1.6)}),
        ("undecided", {"value": interval(0.9, 1.1)}),
        ("undecided", {"value": interval(0.4, 0.6), "control_value": interval(0.9, 1.1)}),
        ("vacuous", {"value": interval(0.4, 0.6), "control_value": interval(0.9, 1.0)}),
        ("verified", {"value": interval(0.4, 0.6), "assumption": exact(1)}),
        ("invalid", {"value": interval(0.4, 0.6), "assumption": exact(-1)}),
        ("undecided", {"value": interval(0.4, 0.6), "assumption": interval(-1.0, 1.0)}),
        # the first row that applies: a failing assumption comes before a failing check
        ("invalid", {"value": interval(1.4, 1.6), "assumption": exact(0)}),
        ("refuted", {"value": interval(1.4, 1.6), "control_value": interval(0.4, 0.6)}),
        ("undecided", {"value": interval(0.9, 1.1), "control_value": interval(0.4, 0.6)}),
        ("error", {"value": 0.5}),
        ("error", {"value": interval(0.4, 0.6), "control_value": 2.0}),
    ],
)
def test_verdicts(verdict, arguments):
    assert evaluate(bounded(**arguments)).verdict == verdict


def test_a_loose_certificate_is_undecided_and_a_crossed_one_invalid():
    loose = bounded(interval(0.4, 0.6)).replace(limit=lambda: interval(0.0, 100.0))
    assert evaluate(loose).verdict == "undecided"
    crossed = bounded(interval(0.4, 0.6)).replace(limit=lambda: interval(1.1, 0.9))
    evidence = evaluate(crossed)
    assert evidence.verdict == "invalid"
    assert "lies above" in evidence.data["error"]


def test_nan_is_an_error_and_a_crash_is_no_rejection():
    nan = bounded(interval(0.4, 0.6)).replace(measured=lambda: rounded(float("nan"), 1, 1.0))
    assert evaluate(nan).verdict == "error"
    claim = bounded(interval(0.4, 0.6))
    claim.control("crashes", measured=lambda: 1 / 0, must_fail="below")
    evidence = evaluate(claim)
    assert evidence.verdict == "error"
    assert "ZeroDivisionError" in evidence.data["error"]
    assert "test_evaluation.py" in evidence.data["error"]
    assert evidence.check("below")["outcome"] == "holds"  # what was found before stays


def test_the_resolution_is_that_of_the_claims_own_world():
    claim = Claim("toy/resolution")

    @claim.run
    def measured(value=1):
        return exact(value)

    @claim.check("equal")
    def same(measured, slack=1):
        return equal(measured, exact(0), within=exact(slack))

    # a control may not buy itself a pass by widening the resolution
    claim.control("farther, with a wider resolution", value=5, slack=10, must_fail="equal")
    assert evaluate(claim).verdict == "verified"


def test_ablations_are_recorded_and_never_judged():
    claim = sum_of_odds()
    claim.ablation("cube", check="sum", exponent=3, cases={"n": (10,)})
    claim.ablation("the same", check="sum", first=1)
    evidence = evaluate(claim)
    assert evidence.verdict == "verified"
    assert [ablation["outcome"] for ablation in evidence.data["ablations"]] == ["fails", "holds"]


def test_power_is_the_smallest_change_that_some_check_notices():
    claim = bounded(interval(0.9, 0.9))
    power = evaluate(claim).data["power"]["limit"]
    assert power["up"] is None  # a larger bound is noticed by nothing
    assert power["down"] == pytest.approx(0.1, rel=0.02)
    assert evaluate(sum_of_odds()).data["power"]["square"]["up"] < 1e-8


@pytest.mark.parametrize(
    ("least", "most", "up", "down"),
    [(0.02, 8.0, 7.0, 0.98), (0.0, 12.0, None, None), (0.9, 10.9, 9.9, 0.1), (0.9, 11.1, None, 0.1)],
)
def test_power_looks_as_far_as_tenfold_and_nothing(least, most, up, down):
    claim = Claim("toy/band")

    @claim.reference
    def scale():
        return interval(1.0, 1.0)

    @claim.check("band")
    def band(scale):
        half = (most - least) / 2
        return equal(scale, interval(least + half, least + half), within=interval(half, half))

    claim.control("far", scale=lambda: interval(50.0, 50.0), must_fail="band")
    found = evaluate(claim).data["power"]["scale"]
    for sign, smallest in (("up", up), ("down", down)):
        assert found[sign] == (smallest if smallest is None else pytest.approx(smallest, rel=0.02))


def test_without_power_the_verdict_is_the_same():
    evidence = evaluate(sum_of_odds(), with_power=False)
    assert (evidence.verdict, evidence.data["power"]) == ("verified", {})


def test_a_claim_is_shown_by_what_names_it():
    assert repr(Claim("a/b")) == "Claim(id='a/b', cases=None, full={})"


def test_power_scales_records():
    claim = Claim("toy/record")

    @claim.reference
    def both():
        return Record(value=exact(10), note="text", more=[exact(Fraction(1, 3))])

    @claim.check("value")
    def check(both):
        return equal(both.value, exact(10), within=exact(1))

    @claim.check("more")
    def more(both):
        return equal(both.more[0] * 3, exact(1), within=exact(1))

    claim.control("12", both=lambda: Record(value=exact(12), more=[exact(0)]), must_fail="value")
    claim.control("1", both=lambda: Record(value=exact(10), more=[exact(1)]), must_fail="more")
    power = evaluate(claim).data["power"]["both"]
    assert power["up"] == pytest.approx(0.1, rel=0.02)


def test_evidence_keeps_exact_arrays_as_floats():
    claim = Claim("toy/exact-array")

    @claim.instance
    def table():
        return np.array([[1, Fraction(1, 4)], [10**400, -(10**400)]], dtype=object)

    @claim.check("sum")
    def check(table):
        return equal(exact(table), exact(table))

    claim.control("other", table=lambda: np.array([[2, 2], [2, 2]], dtype=object), must_fail="sum")
    kept = evaluate(claim).of("table")
    assert kept.dtype == float
    assert kept.tolist() == [[1.0, 0.25], [np.inf, -np.inf]]


# --- the graph ----------------------------------------------------------------------------------------------


def test_what_a_control_leaves_alone_is_not_computed_again():
    calls = {"data": 0, "run": 0}
    claim = Claim("toy/calls", cases={"n": (1, 2)})

    @claim.instance
    def data(rng, size=3):
        calls["data"] += 1
        return rng.normal(size=size)

    @claim.run
    def walk(data, n):
        calls["run"] += 1
        return rounded(n + abs(data[0]), 1, 1.0)

    @claim.reference
    def least(n):
        return exact(n)

    @claim.check("above")
    def above(least, walk):
        return at_most(least, walk)

    claim.control("too much", least=lambda least: least + 100, must_fail="above")
    assert evaluate(claim).verdict == "verified"
    assert calls == {"data": 1, "run": 2}


def test_streams_belong_to_functions():
    def drawn(seed=0, extra=False):
        claim = Claim("toy/streams")
        seen = []

        if extra:

            @claim.instance
            def other(rng):
                return rng.normal()

        @claim.instance
        def data(rng):
            seen.append(rng.normal())
            return exact(1)

        @claim.check("positive")
        def positive(data):
            return less(0, data)

        claim.control(
            "negative", data=lambda rng: (seen.append(rng.normal()), exact(-1))[1], must_fail="positive"
        )
        assert evaluate(claim, seed=seed).verdict == "verified"
        return seen

    first, replaced = drawn()
    assert first == replaced  # a replacement has the stream of what it replaces
    assert drawn(extra=True)[0] == first
    assert drawn(seed=1)[0] != first


def test_replacements_stack():
    claim = sum_of_odds().replace(square=lambda square: square + 1)
    claim = claim.replace(square=lambda square: square - 1)
    assert evaluate(claim).verdict == "verified"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda c: c.control("x", must_fail="summ", first=2), "no check of control 'x' 'summ'; there is sum"),
        (lambda c: c.control("x", must_fail="sum", frist=2), "'frist'; there is first"),
        (lambda c: c.control("x", must_fail="sum"), "changes nothing"),
        (lambda c: c.control("starting from 2", must_fail="sum", first=3), "two controls"),
        (lambda c: c.replace(square=4), "replace it by a function"),
        (lambda c: c.check(lambda x: x), "a check has a name"),
        (lambda c: c.run(lambda totl: 1) and evaluate(c), "asked for by"),
        (lambda c: evaluate(c, size="huge"), "size is quick or full"),
        (lambda c: evaluate(c, frist=1), "no quantity or parameter 'frist'"),
        (lambda c: evaluate(Claim("toy/empty")), "without a check"),
        (
            lambda c: c.control("x", must_fail="sum", first=3, cases={"n": (7,)}) or evaluate(c),
            "names no case",
        ),
    ],
)
def test_set_up_errors_say_what_is_wrong(make, message):
    with pytest.raises(SetupError) as error:
        make(sum_of_odds())
    assert message in str(error.value)


def test_a_name_is_taken_once():
    claim = sum_of_odds()
    with pytest.raises(SetupError, match="is taken"):

        @claim.reference
        def total():
            return exact(1)


def test_a_circle_is_found():
    claim = sum_of_odds()

    @claim.run
    def hen(egg):
        return egg

    @claim.run
    def egg(hen):
        return hen

    with pytest.raises(SetupError, match="circle"):
        evaluate(claim)


def test_parameters_are_one_namespace():
    claim = sum_of_odds()

    @claim.run
    def other(first=7):
        return first

    with pytest.raises(SetupError, match="one namespace"):
        evaluate(claim)


def test_a_check_returns_a_comparison():
    claim = sum_of_odds()

    @claim.check("truth")
    def truth(total):
        return True

    claim.control("x", first=3, must_fail="truth")
    evidence = evaluate(claim)
    assert evidence.verdict == "error"
    assert "end it with at_most, equal or less" in evidence.data["error"]


# --- rules that need the paper map's kind, and the budget ---------------------------------------------------


def test_stated_numbers_are_counted_and_bar_theorems():
    evidence = evaluate(bounded(interval(0.4, 0.6), bound=stated(1.0, "read off a figure")))
    assert evidence.data["stated"] == 1
    checks = evidence.data["checks"]
    assert "read off a figure" in misuse_of_stated("theorem", checks)
    assert misuse_of_stated("observation", checks) is None
    claim = Claim("toy/within")

    @claim.run
    def measured(value=1):
        return exact(value)

    @claim.check("near")
    def near(measured):
        return equal(measured, exact(0), within=stated(1, "chosen"))

    claim.control("far", value=2, must_fail="near")
    evidence = evaluate(claim)
    assert evidence.data["stated"] == 1
    assert misuse_of_stated("theorem", evidence.data["checks"]) is None


def test_statistical_intervals_are_counted_and_alpha_is_passed_on():
    claim = Claim("toy/coin")

    @claim.run
    def share(rng, p=0.5):
        return statistics.proportion(int(rng.binomial(10_000, p)), 10_000)

    @claim.check("fair")
    def fair(share):
        return equal(share, exact(Fraction(1, 2)), within=stated(0.1, "what counts as fair"))

    claim.control("biased", p=0.7, must_fail="fair")
    evidence = evaluate(claim)
    assert evidence.verdict == "verified"
    assert evidence.grade == "statistical"
    assert evidence.data["statistical_intervals"] == 2
    narrow = evaluate(claim, alpha=0.05).check("fair")["measured"]
    wide = evidence.check("fair")["measured"]
    assert narrow["upper"] - narrow["lower"] < wide["upper"] - wide["lower"]


# --- evidence -------------------------------------------------------------------------------------------------


def test_evidence_keeps_quantities_for_the_figure():
    claim = sum_of_odds()

    @claim.run
    def curve(n):
        return Record(x=np.arange(5_000.0), y=interval(np.zeros(3), np.ones(3)), name="curve", n=n)

    @claim.check("curve")
    def curved(curve):
        return at_most(curve.y, exact(1))

    claim.control("shifted", curve=lambda curve: Record(y=curve.y + 2), must_fail="curve")
    evidence = evaluate(claim)
    kept = evidence.of("curve", n=2)
    assert (kept.name, kept.n) == ("curve", 2)
    assert kept.y.upper.tolist() == [1.0, 1.0, 1.0]
    assert len(kept.x) <= 400
    assert (kept.x[0], kept.x[-1]) == (0.0, 4_999.0)
    assert evidence.of("curve", control="shifted", n=10).y.lower[0] >= 1.9
    with pytest.raises(SetupError, match="keeps no 'curv'"):
        evidence.of("curv")


def test_evidence_leaves_out_what_is_too_large():
    claim = sum_of_odds()

    @claim.instance
    def large():
        return np.zeros((400, 1_000))

    @claim.check("large")
    def fits(large):
        return at_most(0, exact(int(large.size)))

    claim.control("none", large=lambda: np.zeros(0) - 1, must_fail="large")
    evidence = evaluate(claim)
    assert evidence.data["left_out"] == ["large"]
    with pytest.raises(SetupError, match="left out for size: large"):
        evidence.of("large")


def test_exact_numbers_longer_than_python_prints_are_evidence_too():
    claim = Claim("toy/powers")

    @claim.reference
    def square():
        return exact(Fraction(10**5_000 + 1, 10**5_000))

    @claim.run
    def product():
        return exact(np.array([Fraction(10**5_000 + 1, 10**5_000)], dtype=object))

    @claim.check("same")
    def same(product, square):
        return equal(product[0], square)

    claim.control("one more", square=lambda square: square + 1, must_fail="same")
    evidence = evaluate(claim)
    assert evidence.verdict == "verified"
    assert evidence.check("same")["measured"]["exact"] == "a number of 33220 bits"


def test_evidence_is_the_same_twice():
    def data():
        evidence = evaluate(bounded(interval(0.4, 0.6)))
        return {key: value for key, value in evidence.data.items() if key != "seconds"}

    assert data() == data()
