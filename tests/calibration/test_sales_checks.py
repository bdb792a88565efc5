"""`bazaar calibrate` on files with one thing wrong: the message, its rows, and that nothing is written."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from market.calibration.options import DOUBTS
from market.errors import UserError
from market.salesfile.findings import Findings, named
from market.salesfile.table import Sales, read_sales
from policies.cli.main import main
from tests.helpers.extras import needs
from tests.helpers.sales_files import Row, changed, csv_text, sound, write_sales

pytestmark = needs("pyblp")

SOUND = sound()
PROMOTED = sound(effect=0.5, cost=True)
MARKETS = sound(markets=("x", "y"), periods=30)
EVERY = ("--force", ",".join((*DOUBTS, "overwrite")))


def forced(name: str) -> str:
    return f" (accept it with --force {name})"


def without(rows: Sequence[Row], *sellers: str) -> list[Row]:
    return [row for row in rows if row["seller"] not in sellers]


def with_(rows: Sequence[Row], change: Callable[[int, Row], Row] | Mapping[int, Row]) -> list[Row]:
    return changed(rows, change)


@dataclass
class Command:
    """One `bazaar calibrate` in a folder of its own, with everything asked for that can be written."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    before: dict[str, bytes] = field(default_factory=dict)

    def run(self, rows: Sequence[Row] | str | Path, *options: str) -> int:
        path = rows if isinstance(rows, Path) else write_sales(self.folder, rows)
        self.before = self.files()
        return main(["calibrate", str(path), "-o", str(self.folder / "mine.yaml"), *self.pages(), *options])

    def pages(self) -> list[str]:
        return ["--json", str(self.folder / "mine.json"), "--report", str(self.folder / "mine.html")]

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def refused(self, rows: Sequence[Row] | str | Path, *options: str) -> list[str]:
        """Lines of the one message, the file's path taken off; no file has changed or come."""
        assert self.run(rows, *options) == 2
        out, err = self.capsys.readouterr()
        assert self.files() == self.before
        assert err.startswith("bazaar calibrate: ") and err.count("bazaar calibrate") == 1
        assert "Traceback" not in out + err and "Warning" not in err
        lines = err.removeprefix("bazaar calibrate: ").rstrip("\n").split("\n")
        return [line.removeprefix(f"{self.folder / 'sales.csv'}: ") for line in lines]

    def warned(self, rows: Sequence[Row], *options: str) -> list[str]:
        """The warnings of a calibration that is written: the same on the terminal, in the config and in the JSON."""
        assert self.run(rows, *options) == 0
        out, err = self.capsys.readouterr()
        warnings = json.loads((self.folder / "mine.json").read_text())["warnings"]
        text = (self.folder / "mine.yaml").read_text()
        assert yaml.safe_load(text)["market"]["sellers"]
        for warning in warnings:
            assert words(f"Warning: {warning}.") in words(out)
            assert words(f"WARNING: {warning}") in words(re.sub(r"(?m)^#", "", text))
        assert "Traceback" not in out + err
        return [str(warning) for warning in warnings]


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def calibrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


def only(lines: list[str]) -> str:
    """The one line there is, notes aside."""
    kept = [line for line in lines if not line.startswith("note: ")]
    assert len(kept) == 1, kept
    return kept[0]


def about(warnings: list[str], word: str) -> str:
    found = [warning for warning in warnings if word in warning]
    assert len(found) == 1, warnings
    return found[0]


# ------------------------------------------------------------------------------------------------ sound files


def test_a_sound_file_is_written_and_tells_what_was_put_in(calibrate: Command) -> None:
    warnings = calibrate.warned(PROMOTED, "--no-nest", "--iv", "cost,promotions")
    assert warnings == []
    found = json.loads((calibrate.folder / "mine.json").read_text())["demand"]["coefficients"]
    for name, truth in {"alpha": 1.5, "promo_flyer": 0.5}.items():
        assert abs(found[name]["estimate"] - truth) < 4 * found[name]["standard_error"]
    assert set(calibrate.files()) == {"sales.csv", "mine.yaml", "mine.json", "mine.html"}


# ------------------------------------------------------------------------------------------------ errors of the file


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            csv_text(SOUND) + csv_text(with_(SOUND[3:4], {0: {"units": 7}})).split("\n", 1)[1],
            "lines 5, 182: several rows of a seller in a period (ann first), where nearly all have one: leave out what was ",
        ),
        (with_(SOUND, {3: {"price": "abc"}}), "line 5: price must be a number > 0 (got 'abc')"),
        (with_(SOUND, {3: {"price": -2}, 7: {"price": ""}}), "lines 5, 9: price must be a number > 0 (got '-2')"),
        (with_(SOUND, {3: {"units": "inf"}}), "line 5: units must be a number (got 'inf': at most 1e+12)"),
        (with_(PROMOTED, {3: {"promo_flyer": 2}}), "line 5: promo_flyer must be a number from 0 to 1 (got '2': where"),
        (without(SOUND, "bob", "cem"), "has one seller only (ann): competition needs at least 2"),
        (SOUND[:75], "has 25 periods: at least 26 are needed"),
        (with_(SOUND, lambda k, row: {"units": 0}), "nothing was ever sold: all units are 0"),
        (
            with_(SOUND, lambda k, row: {"units": row["units"] * (row["seller"] != "cem")}),
            "lines 4, 7, 10, 13, 16 and 55 more: seller cem never sold anything, so nothing can be told about demand there: ",
        ),
        (
            with_(MARKETS, lambda k, row: {"units": row["units"] * (row["market"] != "y")}),
            "lines 92, 93, 94, 95, 96 and 85 more: market y never sold anything",
        ),
        (
            with_(SOUND, lambda k, row: {"market_size": 9000 + (k in (4, 8))}),
            "lines 5, 6, 7, 8, 9 and 1 more: market_size differs within one period of a market",
        ),
        (
            with_(PROMOTED, lambda k, row: {"promo_b": row["promo_flyer"]}),
            "collinear columns: promo_b is explained by promo_flyer: leave one out",
        ),
        (
            with_(PROMOTED, lambda k, row: {"promo_b": 1 - row["promo_flyer"]}),
            "collinear columns: promo_b is explained by promo_flyer: leave one out",
        ),
        (
            with_(SOUND[:78], lambda k, row: {"season": row["period"]}),
            "collinear columns: season 26 is explained by trend (--no-trend), season 2, season 3, season 4, season 5 and ",
        ),
        (
            with_(SOUND, lambda k, row: {"market_size": 9e11}),
            "the market size comes to 900,000,000,000 units in a period, and a market has at most 1,000,000,000 customers",
        ),
        ("", "is empty"),
        ("period,seller,price\n1,a,2\n", "column units missing; the file has period, seller, price: name yours with "),
    ],
    ids=range(17),
)
def test_a_file_that_cannot_be_calibrated_is_refused_with_or_without_force(
    calibrate: Command, rows: Sequence[Row] | str, said: str
) -> None:
    line = only(calibrate.refused(rows))
    assert line.startswith(said) and "--force" not in line
    assert only(calibrate.refused(rows, *EVERY)) == line


def test_units_that_reach_the_market_size_are_refused_with_the_smallest_feasible_size(calibrate: Command) -> None:
    totals = {t: sum(row["units"] for row in SOUND[3 * t : 3 * t + 3]) for t in range(60)}
    best = max(totals, key=lambda t: totals[t])
    lines = [row["period"] * 3 - 1 + k for row in SOUND[::3] for k in range(3) if totals[row["period"] - 1] >= 2300]
    line = only(calibrate.refused(SOUND, "--market-size", "2300", *EVERY))
    assert line == (
        f"{named('line', lines)}: units reach the market size, so nobody would be left to buy nothing: in period "
        f"{best + 1} {totals[best]:,} units are sold of 2,300; the smallest feasible size there is {totals[best] + 1:,}"
    )
    assert not [one for one in calibrate.warned(SOUND, "--market-size", str(totals[best] + 1)) if "size" in one]
    column = with_(SOUND, lambda k, row: {"market_size": 9000 if row["period"] != 8 else 400})
    assert (
        f"in period 8 {totals[7]:,} units are sold of 400; the smallest feasible size there is {totals[7] + 1:,}"
        in (only(calibrate.refused(column, *EVERY)))
    )


# ------------------------------------------------------------------------------------------------ doubts


def steady(k: int, row: Row) -> Row:
    return {"price": 3 + 0.01 * (row["period"] % 2)} if row["seller"] == "cem" else {}


CEM = "lines 4, 7, 10, 13, 16 and 55 more"
DOUBTFUL = {
    "multiples": (
        with_(SOUND, lambda k, row: {"units": row["units"] * (64 if row["seller"] == "cem" else 1)}),
        (
            f"{CEM}: all units of seller cem are divisible by 64: looks like ounces or money or whole cases, not counts; "
            "divide them"
        ),
    ),
    "fractions": (
        with_(SOUND, {4: {"units": 100.5}}),
        "line 6: units have fractions: looks like ounces or money, not counts; counting noise would come out wrong",
    ),
    "steady-price": (
        with_(SOUND, steady),
        (
            f"{CEM}: the price of seller cem hardly varies (standard deviation 0.17% of it): what customers do when it "
            "changes cannot be told"
        ),
    ),
    "one-row": (
        [row for row in SOUND if row["seller"] != "cem" or row["period"] == 5],
        "line 12: seller cem has this row only, which tells nothing about its customers: leave it out",
    ),
    "gaps": (
        with_(SOUND, lambda k, row: {"period": 7 * row["period"]}),
        "all periods lie 7 or a multiple of it apart: number them through, 1, 2, 3",
    ),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_would_mislead_is_refused_unless_forced(calibrate: Command, name: str) -> None:
    rows, said = DOUBTFUL[name]
    others = ",".join(one for one in DOUBTS if one != name)
    assert only(calibrate.refused(rows)) == said + forced(name)
    assert only(calibrate.refused(rows, "--force", others)) == said + forced(name), "no other check's name accepts it"
    assert said in calibrate.warned(rows, "--force", name, "--no-nest", "--cost-share", "0.5")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--force"], "--force: needs a value"),
        (["--force", "all"], f"--force: must be of {', '.join(DOUBTS)}, overwrite, each at most once, got 'all'"),
        (
            ["--force", "gaps,gaps"],
            f"--force: must be of {', '.join(DOUBTS)}, overwrite, each at most once, got 'gaps,gaps'",
        ),
    ],
)
def test_force_names_what_it_accepts(calibrate: Command, words: list[str], said: str) -> None:
    assert calibrate.run(SOUND, *words) == 2
    assert said in calibrate.capsys.readouterr().err


def test_units_that_never_vary_are_refused_even_when_forced(calibrate: Command) -> None:
    rows = with_(SOUND, lambda k, row: {"units": 7 + 4 * (k % 3)})
    assert only(calibrate.refused(rows, *EVERY)) == (
        "units do not vary within any seller and market: there is no demand to explain"
    )


def test_prices_that_never_vary_are_refused_even_when_forced(calibrate: Command) -> None:
    rows = with_(SOUND, lambda k, row: {"price": 3 + k % 3})
    assert only(calibrate.refused(rows, *EVERY)) == (
        "column price does not vary within any seller and market: nothing can be estimated"
    )


def test_several_that_never_sold_are_one_message(calibrate: Command) -> None:
    rows = with_(SOUND, lambda k, row: {"units": 0} if row["seller"] != "ann" else {})
    said = only(calibrate.refused(rows))
    assert said.startswith("lines 3, 4, 6, 7, 9 and 115 more: sellers bob, cem never sold anything, so nothing can be")


def test_all_sellers_in_ounces_are_named_in_one_message(calibrate: Command) -> None:
    lines = calibrate.refused(with_(SOUND, lambda k, row: {"units": 64 * row["units"]}))
    assert [re.sub(".* of seller", "", line).split()[0] for line in lines] == ["ann", "bob", "cem"]


# ------------------------------------------------------------------------------------------------ warnings


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            with_(SOUND, {4: {"units": 0}, 9: {"units": 0}}),
            (
                "lines 6, 11: units are 0 (2 of 180 rows): the inversion has no logarithm of zero, so these rows are left out "
                "of the regression"
            ),
        ),
        (
            with_(SOUND, lambda k, row: {"units": 0} if k < 18 else {}),
            (
                "lines 2, 3, 4, 5, 6 and 13 more: units are 0 (18 of 180 rows): the inversion has no logarithm of zero, so "
                "these rows are left out of the regression, and 10% is many: elasticities come out too small"
            ),
        ),
        (
            [row for k, row in enumerate(SOUND) if k not in (7, 10)],
            (
                "gaps bob in 3, bob in 4: a seller without a row is not offered in that period; customers choose among the "
                "others"
            ),
        ),
        (
            [row for row in SOUND if row["period"] not in (17, 18)],
            "no seller has a row in periods 17, 18: demand there is not known",
        ),
        (
            with_(SOUND, {4: {"price": 9.9, "units": 1}}),
            (
                "line 6: price is far off the seller's median (seller bob: 9.9 against 2.955): look for a typing error or "
                "another package"
            ),
        ),
        (
            with_(SOUND, lambda k, row: {"cost": 5 if row["seller"] == "cem" else 1}),
            (
                f"{CEM}: the mean cost of seller cem, 5, is not below its mean price, 3.0305: look whether it is the cost "
                "of one unit"
            ),
        ),
        (with_(SOUND, lambda k, row: {"promo_tv": 1}), "promo_tv is 1 in every row: it is left out"),
    ],
    ids=["zeros", "many zeros", "gaps", "empty periods", "far", "cost", "promotion"],
)
def test_what_is_worth_knowing_is_on_the_terminal_in_the_config_and_in_the_json(
    calibrate: Command, rows: list[Row], said: str
) -> None:
    assert said in calibrate.warned(rows, "--no-nest")


def test_gaps_of_several_markets_name_the_market(calibrate: Command) -> None:
    rows = [row for k, row in enumerate(MARKETS) if k not in (4, 100)]
    said = about(calibrate.warned(rows, "--no-nest"), "gaps")
    assert said.startswith("gaps bob in market x in 2, bob in market y in 4: ")


def test_a_season_longer_than_the_file_is_said_to_be_left_out(calibrate: Command) -> None:
    warnings = calibrate.warned(SOUND, "--season", "52", "--no-nest")
    assert warnings == ["--season 52: left out, since 60 periods are not two cycles"]


def test_a_log_price_that_is_too_inelastic_is_warned_of(calibrate: Command) -> None:
    rows = sound(alpha=0.7, log=True, spread=0.25)
    warning = about(calibrate.warned(rows, "--price", "log", "--no-nest", "--cost-share", "0.5"), "joint-profit")
    alpha = json.loads((calibrate.folder / "mine.json").read_text())["demand"]["coefficients"]["alpha"]["estimate"]
    assert alpha == pytest.approx(0.7, abs=0.15)
    assert warning == (
        f"log price with alpha {alpha:.3f} <= 1: revenue grows with every price, so there is no finite joint-profit price"
    )


def test_a_nest_outside_the_model_is_refitted_without_and_not_clipped(calibrate: Command) -> None:
    """Sellers who are complements: a low price of one sells more of the others, which no rho >= 0 does."""
    prices = [sum(row["price"] for row in SOUND[3 * t : 3 * t + 3]) for t in range(60)]
    rows = with_(SOUND, lambda k, row: {"units": round(row["units"] * (8.95 / prices[row["period"] - 1]) ** 4)})
    warning = about(calibrate.warned(rows), "rho")
    assert re.fullmatch(
        r"rho is estimated as -\d\.\d{3} \(standard error \d\.\d{3}\), outside \[0, 0.95\): refitted without the nest(; so far below 0 .*)?",
        warning,
    )
    found = json.loads((calibrate.folder / "mine.json").read_text())
    assert "rho" not in found["demand"]["coefficients"]
    assert [one["coefficients"].get("rho", {}).get("estimate", 0) < 0 for one in found["tried"]].count(True) == 1
    assert "nest" not in yaml.safe_load((calibrate.folder / "mine.yaml").read_text())["market"]


def test_a_nest_without_instruments_is_left_out_with_a_word(calibrate: Command) -> None:
    """Sellers who always charge the same: rivals' prices say nothing that the own price does not."""
    price = {row["period"]: row["price"] for row in SOUND}
    rows = with_(SOUND, lambda k, row: {"price": price[row["period"]]})
    assert about(calibrate.warned(rows, "--cost-share", "0.5"), "nest").startswith("no nest: it needs instruments")


def test_promotions_that_all_sellers_share_are_no_instruments_but_no_obstacle(calibrate: Command) -> None:
    rows = with_(SOUND, lambda k, row: {"promo_all": int(row["period"] % 7 == 0)})
    assert only(calibrate.refused(rows, "--iv", "promotions")).startswith("--iv: rivals' promo_all says nothing about")
    calibrate.warned(rows)


# ------------------------------------------------------------------------------------------------ estimates


@pytest.mark.parametrize("force", [(), EVERY])
def test_demand_that_rises_with_the_price_is_refused_even_when_forced(
    calibrate: Command, force: tuple[str, ...]
) -> None:
    line = only(calibrate.refused(sound(alpha=-0.8, quality=-4.0), *force))
    assert re.fullmatch(
        r"the price coefficient has the wrong sign \(alpha -0\.8\d\d, standard error 0\.\d{3}\): demand would rise with "
        r"the price, and no market can be made of that; instruments may help \(--iv\)",
        line,
    )


def test_a_price_coefficient_that_may_be_nothing_is_refused_unless_forced(calibrate: Command) -> None:
    rows = sound(alpha=0.15, quality=-1.5, shock=0.6, seed=4)
    options = ("--price", "linear", "--no-nest", "--cost-share", "0.5")
    line = only(calibrate.refused(rows, *options))
    pattern = (
        r"the price coefficient is not significant \(alpha 0\.\d{3}, standard error 0\.\d{3}, t [01]\.\d\d, below 2\)"
    )
    assert re.fullmatch(pattern + re.escape(forced("not-significant")), line)
    warnings = calibrate.warned(rows, *options, "--force", "not-significant")
    assert re.fullmatch(pattern, about(warnings, "not significant"))


def test_a_refusal_tells_the_warnings_that_may_explain_it(calibrate: Command) -> None:
    lines = calibrate.refused(with_(SOUND, {4: {"price": 29.9}}))
    assert lines[0].startswith("the price coefficient is not significant")
    assert lines[1].startswith("note: line 6: price is far off the seller's median (seller bob: 29.9 against 2.955)")


def test_an_implied_cost_below_zero_is_refused_unless_forced(calibrate: Command) -> None:
    rows = sound(alpha=0.2, quality=-1)
    lines = calibrate.refused(rows, "--no-nest")
    assert [line.split(" that ")[0] for line in lines] == [
        f"the unit cost of seller {k}" for k in ("ann", "bob", "cem")
    ]
    assert re.search(r" a Bertrand equilibrium implies is -\d\.\d\d, below 0: demand is estimated too inel", lines[0])
    assert all(line.endswith(forced("negative-cost")) for line in lines)
    warnings = calibrate.warned(rows, "--no-nest", "--force", "negative-cost")
    assert [warning + forced("negative-cost") for warning in warnings] == lines
    sellers = yaml.safe_load((calibrate.folder / "mine.yaml").read_text())["market"]["sellers"]
    assert [seller["unit_cost"] for seller in sellers] == [0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "iv", "said"),
    [
        (SOUND, "cost", "--iv cost: the file has no column cost (name it with --columns cost=COLUMN)"),
        (SOUND, "promotions", "--iv promotions: the file has no promo_* columns that vary"),
        (
            with_(SOUND, lambda k, row: {"promo_a": 0}),
            "promotions",
            "--iv promotions: the file has no promo_* columns ",
        ),
        (with_(SOUND, lambda k, row: {"cost": 1.5}), "cost", "--iv: cost says nothing about the price that seller x "),
    ],
)
def test_instruments_that_there_are_not_are_refused(calibrate: Command, rows: list[Row], iv: str, said: str) -> None:
    assert only(calibrate.refused(rows, "--iv", iv)).startswith(said)


# ------------------------------------------------------------------------------------------------ odd but sound


def test_markets_of_one_seller_or_of_different_sellers_are_calibrated(calibrate: Command) -> None:
    rows = [row for row in MARKETS if (row["market"], row["seller"]) not in {("x", "cem"), ("y", "ann"), ("y", "bob")}]
    calibrate.warned(rows, "--no-nest")
    places = yaml.safe_load((calibrate.folder / "mine.yaml").read_text())["market"]["locations"]
    never = {place["name"]: [quality < -50 for quality in place["quality"]] for place in places}
    assert never == {"x": [False, False, True], "y": [True, True, False]}


def test_a_seller_of_one_row_can_be_forced_through_validation(calibrate: Command) -> None:
    rows, said = DOUBTFUL["one-row"]
    assert said in calibrate.warned(rows, "--force", "one-row", "--no-nest", "--validate")


def test_a_column_of_seasons_is_used(calibrate: Command) -> None:
    names = ("spring", "²", "³", "10")
    calibrate.warned(with_(SOUND, lambda k, row: {"season": names[row["period"] % 4]}), "--no-nest")
    found = json.loads((calibrate.folder / "mine.json").read_text())
    assert {name for name in found["demand"]["coefficients"] if "season" in name} == {f"season {k}" for k in names}
    assert len(found["season"]) == 4


# ------------------------------------------------------------------------------------------------ files and options


def test_outputs_that_are_there_are_left_as_they_are(calibrate: Command) -> None:
    """Refused without --force, and byte for byte the same when the calibration fails with it."""
    for name in ("mine.yaml", "mine.json", "mine.html"):
        (calibrate.folder / name).write_text("precious")
        line = only(calibrate.refused(SOUND))
        assert (
            line
            == f"{calibrate.folder / name}: exists already and is not written over; choose another name, or --force overwrite"
        )
        calibrate.refused(with_(SOUND, {3: {"price": -1}}), *EVERY)
        calibrate.refused(sound(alpha=-0.8, quality=-4.0), *EVERY)
        assert (calibrate.folder / name).read_text() == "precious"
        (calibrate.folder / name).unlink()
    (calibrate.folder / "mine.yaml").write_text("precious")
    calibrate.warned(SOUND, "--force", "overwrite")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("nowhere/mine.yaml", r"{}/nowhere/mine.yaml: the folder {}/nowhere does not exist"),
        ("mine.csv", r"--output {}/mine.csv: must end with .yaml"),
        ("sales.yaml", r"{}/sales.yaml: is the sales file itself; choose another name"),
        ("mine.json", r"--output {}/mine.json: must end with .yaml"),
        ("folder.yaml", r"{}/folder.yaml: is a folder, not a file to write to"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_the_work(calibrate: Command, output: str, said: str) -> None:
    (calibrate.folder / "folder.yaml").mkdir()
    path = write_sales(calibrate.folder, SOUND, "sales.yaml")
    line = only(calibrate.refused(path, "-o", str(calibrate.folder / output), *EVERY))
    assert line == said.format(*2 * [calibrate.folder])


def test_outputs_must_differ_from_one_another(calibrate: Command) -> None:
    same = str(calibrate.folder / "mine.html")
    assert only(calibrate.refused(SOUND, "--json", same)) == (
        f"{same}: --output, --report and --json must be different files"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--columns", "price=cost"),
            "--columns price=cost: no such column; the file has period, seller, price, units",
        ),
        (("--columns", "prize=price"), "--columns: 'prize' is no column of a sales file; there are period, seller, "),
        (("--where", "seller"), "--where seller: must be COLUMN=VALUE, such as category=YOGURT"),
        (("--where", "seller=dan"), "--where seller=dan: no row has it; there are ann, bob, cem"),
        (("--where", "seller=ann", "--where", "seller=bob"), "--where seller: is given twice"),
        (("--periods", ":"), "--periods :: must be FIRST:LAST, such as 2:52 or 1991-01-01:, or one such as 1991-02"),
        (("--periods", "5"), "has 1 periods: at least 26 are needed"),
        (("--periods", ":x"), "--periods: 'x' must be a number, as the file's periods are"),
        (("--periods", "36:"), "has 25 periods: at least 26 are needed"),
    ],
)
def test_options_that_the_file_does_not_fit_are_refused(
    calibrate: Command, options: tuple[str, ...], said: str
) -> None:
    assert only(calibrate.refused(SOUND, *options)).startswith(said)


def test_a_missing_file_a_folder_and_bytes_are_refused(calibrate: Command) -> None:
    path = calibrate.folder / "sales.csv"
    assert only(calibrate.refused(path)) == "no such file"
    assert (
        only(calibrate.refused(calibrate.folder))
        == f"{calibrate.folder}: is a folder without files that can be read: CSV, workbooks, Parquet"
    )
    path.write_bytes(bytes(range(256)) * 50)
    assert only(calibrate.refused(path)).startswith("is no text that can be read")


def test_pyblp_that_is_not_installed_is_named_with_the_way_to_install_it(
    calibrate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyblp", None)
    line = only(calibrate.refused(SOUND))
    assert line == "calibrating needs pyblp: pip install 'bazaar-market[calibrate]'"


# ------------------------------------------------------------------------------------------------ findings


def test_places_are_named_up_to_five() -> None:
    assert named("line", [3]) == "line 3"
    assert named("line", range(1, 6)) == "lines 1, 2, 3, 4, 5"
    assert named("row", range(1, 8)) == "rows 1, 2, 3, 4, 5 and 2 more"


def test_findings_are_one_message() -> None:
    found = Findings("a.csv")
    found.settle()
    found.warning("w")
    found.settle()
    found.doubt("x", "d")
    found.error("e")
    with pytest.raises(UserError) as problem:
        found.settle()
    assert str(problem.value) == f"a.csv: e\na.csv: d{forced('x')}\na.csv: note: w"
    accepting = Findings("a.csv", force=("x",))
    accepting.doubt("x", "d")
    accepting.settle()
    assert accepting.warnings == ["d"]


def test_sound_files_are_what_they_say(tmp_path: Path) -> None:
    """The helper itself: utilities -1.5, -1.3 and -1.1, so shares ``exp(-1.5) / 1.8285`` and so on."""
    sales: Any = read_sales(write_sales(tmp_path, sound(shock=0.0, spread=0.0, periods=200)))
    assert isinstance(sales, Sales)
    mean = sales.rows.groupby("seller")["units"].mean() / 4000
    assert mean.tolist() == pytest.approx([0.1220, 0.1490, 0.1820], abs=0.002)
