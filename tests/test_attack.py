"""Attacks: a sharp bound is met, a bound that is too small is broken, what is found joins the claim."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import verify
from tests.toys import write_project
from verify import Claim, at_most, equal, exact, instances, less, statistics
from verify.attack import attack, examine, floats, with_floats
from verify.errors import SetupError


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A search's time is how often it looks at the clock: the same on every machine, however busy."""
    looks = itertools.count()
    monkeypatch.setattr("verify.attack.time", SimpleNamespace(monotonic=lambda: next(looks) * 2e-3))


PRODUCT = '''\
"""Of two numbers with sum of squares 1, twice the product is at most 1."""

from fractions import Fraction

import numpy as np

from verify import Claim, at_most, exact, rounded

claim = Claim("@ID@")


def units(points):
    points = np.asarray(points, dtype=float).reshape(-1, 2) + 1e-200
    return points / np.hypot(*points.T)[:, None]


@claim.instance
def pairs(rng):
    return units(rng.uniform(1, 9, size=(3, 2)) * [1, 20])


@claim.space("pairs", build=units)
def one_pair(draw):
    from hypothesis import strategies as st

    return {"points": draw(st.lists(st.floats(-9, 9), min_size=2, max_size=2))}


@claim.reference
def bound(most=1):
    return exact(most)


@claim.run
def product(pairs):
    return rounded(2 * pairs[:, 0] * pairs[:, 1], 8, 2)


@claim.check("product")
def small(product, bound):
    return at_most(product, bound, within=product.gap())


claim.control("half as large", most=0, pairs=lambda: np.array([[0.6, 0.8]]), must_fail="product")
'''
SLUG = "product"
ID = f"toy-paper/{SLUG}"


def test_what_an_assumption_shares_is_computed_once() -> None:
    claim, computed = Claim("p/c"), []

    @claim.instance
    def pair():
        return [1, 0]

    @claim.space("pair", build=lambda x: [round(x), 0])
    def drawn(draw):
        from hypothesis import strategies as st

        return {"x": draw(st.floats(0, 7))}

    @claim.reference
    def slow():
        computed.append(1)
        return exact(8)

    @claim.assumption
    def fits(pair, slow):
        return at_most(exact(pair[0]), slow)

    @claim.check("small")
    def small(pair):
        return at_most(exact(pair[0]), exact(8))

    attack(claim, seconds=1)
    assert len(computed) == 1


def ratio(check: str = "<=") -> Claim:
    """x y <= most, for 0 <= x, y <= 1 in one attacked instance."""
    claim = Claim("p/c")

    @claim.instance
    def pair():
        return [1, 0]

    @claim.space("pair", build=lambda x, y: [round(abs(x) % 8), round(abs(y) % 8)])
    def drawn(draw):
        from hypothesis import strategies as st

        return {"x": draw(st.floats(0, 7)), "y": draw(st.floats(0, 7))}

    @claim.reference
    def most():
        return exact(49)

    @claim.check("product")
    def bounded(pair, most):
        product = exact(pair[0] * pair[1])
        return at_most(product, most) if check == "<=" else equal(product, most)

    return claim


def test_search_meets_a_sharp_bound():
    (result,) = attack(ratio(), seconds=2)
    assert result["own"] == {"product": 0.0}
    assert result["found"][0]["tightness"] == 1.0
    assert not result["found"][0]["fails"]


def test_search_breaks_a_bound_that_is_five_percent_too_small_and_makes_the_instance_small():
    (result,) = attack(ratio(), seconds=10, falsify={"most": 0.95})
    found = result["found"][0]
    assert found["fails"]
    assert set(found["data"].values()) == {7.0}
    assert examine(ratio(), "pair", found["data"])[0]["outcome"] == "holds"
    assert examine(ratio(), "pair", found["data"], {"most": 0.95})[0]["outcome"] == "fails"


def test_equalities_are_attacked_without_a_guide():
    (result,) = attack(ratio("="), seconds=2)
    assert result["found"][0]["fails"]
    assert result["found"][0]["data"] == {"x": 0.0, "y": 0.0}


def test_local_search_moves_the_floats(project):
    claim = verify.load(project({SLUG: PRODUCT})).claims[ID]
    (result,) = attack(claim, seconds=2)
    assert result["own"]["product"] < 0.999
    assert result["found"][0]["tightness"] == pytest.approx(1, abs=1e-9)


def test_same_seed_finds_the_same_counterexample():
    first, second = (attack(ratio(), seconds=20, seed=3, falsify={"most": 0.9})[0]["found"] for _ in range(2))
    assert first == second


def test_instances_that_break_an_assumption_count_for_nothing():
    claim = ratio()

    @claim.assumption
    def unequal(pair):
        return less(abs(pair[0] - pair[1]) * exact(-1), 0)

    (result,) = attack(claim, seconds=2)
    assert result["unfit"] > 0
    assert 0.5 < result["found"][0]["tightness"] < 1
    with pytest.raises(SetupError, match="no instance of pair: an assumption"):
        examine(claim, "pair", {"x": 7.0, "y": 7.0})


def test_what_the_code_raises_is_counted():
    claim = ratio()
    (result,) = attack(claim.replace(most=lambda pair: exact(49 // pair[0] + 48)), seconds=2)
    assert any("ZeroDivisionError" in message for message in result["raised"])
    assert result["instances"] > 0


def test_statistical_claims_are_refused():
    claim = ratio().replace(most=lambda pair: 49 * statistics.proportion(pair[0] + 50, 60))
    with pytest.raises(SetupError, match="statistical"):
        attack(claim, seconds=1)


def test_claims_without_a_space_are_told_how_to_declare_one():
    claim = Claim("p/c")
    claim.check("one")(lambda: equal(exact(1), exact(1)))
    with pytest.raises(SetupError, match=r"@claim\.space"):
        attack(claim, seconds=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"of": "pears"}, "no space 'pears'"), ({"falsify": {"least": 2.0}}, "no reference 'least'")],
)
def test_names_that_do_not_exist(options, message):
    with pytest.raises(SetupError, match=message):
        attack(ratio(), seconds=1, **options)


def test_a_space_replaces_an_instance_and_only_once():
    claim = ratio()
    with pytest.raises(SetupError, match="two spaces"):
        claim.space("pair", build=dict)(lambda draw: {})
    with pytest.raises(SetupError, match="no instance 'pairs'"):
        claim.space("pairs", build=dict)(lambda draw: {})
    with pytest.raises(SetupError, match="no space 'most'"):
        claim.at("most")


def test_floats_are_found_and_put_back_in_order():
    data = {"n": 3, "x": [1.5, [2.5, "word"]], "y": {"z": -1.0}}
    assert floats(data) == [1.5, 2.5, -1.0]
    assert with_floats(data, [1.0, 2.0, 3.0]) == {"n": 3, "x": [1.0, [2.0, "word"]], "y": {"z": 3.0}}


# --- what is kept ---------------------------------------------------------------------------------------------


def test_kept_instances_join_the_claim(project):
    root = project({SLUG: PRODUCT})
    own = verify.evaluate(verify.load(root).claims[ID])
    instances.keep(root, ID, "pairs", "diagonal", {"points": [1.0, 1.0]})
    evidence = verify.evaluate(verify.load(root).claims[ID])
    assert own.check("product")["tightness"] < 0.9999
    assert evidence.check("product")["tightness"] == pytest.approx(1)
    assert [case["case"] for case in evidence.check("product")["cases"]] == [{}, {"instance": "diagonal"}]
    assert evidence.cases == own.cases


def test_a_kept_counterexample_refutes(project):
    root = project({SLUG: PRODUCT.replace("most=1", "most=Fraction(9, 10)")})
    instances.keep(root, ID, "pairs", "diagonal", {"points": [1.0, 1.0]})
    evidence = verify.evaluate(verify.load(root).claims[ID])
    assert evidence.verdict == "refuted"
    assert evidence.check("product")["at"] == {"instance": "diagonal", "index": 0}


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"pairs": 1}', '{"pairs": {"x": [1]}}', '{"pairs": {"x": NaN}}']
)
def test_a_file_that_holds_no_instances_is_named(project, text):
    root = project({SLUG: PRODUCT})
    instances.path(root, ID).write_text(text)
    with pytest.raises(SetupError, match=r"product\.worst\.json"):
        verify.load(root).claims[ID]


# --- the command ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attacked(tmp_path_factory) -> Path:
    return write_project(tmp_path_factory.mktemp("attacked"), {SLUG: PRODUCT})


def attack_command(root: Path, *words: str):
    from tests.test_cli import command

    return command(root, "attack", ID, *words)


def test_command_keeps_what_is_tighter_and_stops_there(attacked):
    done = attack_command(attacked, "--seconds", "2")
    assert done.code == 0, done.err
    assert "kept in claims/toy_paper/product.worst.json" in done.out
    again = attack_command(attacked, "--seconds", "2")
    assert again.code == 0
    assert "kept in" not in again.out


def test_command_shows_a_counterexample_that_its_own_lines_repeat(attacked):
    before = instances.path(attacked, ID).read_text() if instances.path(attacked, ID).exists() else ""
    done = attack_command(attacked, "--seconds", "10", "--falsify", "bound=0.95", "--json")
    assert done.code == 1
    assert "FAILS" in done.err
    found = json.loads(done.out)["spaces"][0]["found"][0]
    assert found["fails"]
    tried = ["--of", "pairs", "--try", json.dumps(found["data"])]
    assert attack_command(attacked, *tried, "--falsify", "bound=0.95").code == 1
    assert attack_command(attacked, *tried).code == 0
    after = instances.path(attacked, ID).read_text() if instances.path(attacked, ID).exists() else ""
    assert after == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--falsify", "bound"], "REFERENCE=FACTOR"),
        (["--of", "pairs", "--try", "{"], "no JSON"),
        (["--of", "pairs", "--try", "[1]"], "JSON object"),
        (["--try", "{}"], "needs --of"),
        (["--of", "pairs", "--try", '{"points": [1, 2, 3]}'], "no instance of pairs"),
        (["--of", "pairs", "--try", '{"corners": [1, 2]}'], "no instance of pairs"),
    ],
)
def test_bad_input_is_one_paragraph(attacked, words, message):
    done = attack_command(attacked, *words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_what_is_no_json_is_not_kept(project):
    root = project({SLUG: PRODUCT})
    instances.keep(root, ID, "pairs", "one", {"points": [1.0, 2.0]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        instances.keep(root, ID, "pairs", "two", {"points": [float("nan"), 2.0]})
    assert instances.read(root, ID) == {"pairs": {"one": {"points": [1.0, 2.0]}}}
