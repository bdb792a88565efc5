"""The configuration of a market: frozen models, YAML in and out.

Unknown keys and contradictions are refused with the path of the key. Money is in the currency of the prices,
stock in units, time in periods (a day or a week: ``period`` names it).
"""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from market.salesfile.names import RULE, is_name
from market.salesfile.table import no_column
from market.spec.builtin import find
from market.spec.loading import SHA256, find_tape, parse_model, read_yaml, refuse_booleans

HUGE = 1e12  # no amount is larger, so that no sum of amounts overflows
MOST_CUSTOMERS = 1e9  # a period; counts beyond are not exact

NonNegative = Annotated[float, Field(ge=0, le=HUGE)]
Positive = Annotated[float, Field(gt=0, le=HUGE)]
Finite = Annotated[float, Field(ge=-HUGE, le=HUGE)]
Utility = Annotated[float, Field(ge=-100, le=100)]
UpToHundred = Annotated[float, Field(ge=0, le=100)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
LowHigh = tuple[Finite, Finite]


class Model(BaseModel):
    """Base of every configuration model: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Yearly(Model):
    """A sinusoid in the number of customers: factor ``1 + amplitude cos(2 pi (t - peak) / length)``."""

    amplitude: BelowOne = Field(description="largest share of the mean that the sinusoid adds or takes")
    peak: Finite = Field(0.0, description="period of the peak")
    length: Positive = Field(365.0, description="periods in a cycle")


class Shock(Model):
    """A stationary Gaussian AR(1) process in the logarithm of the number of customers, whose mean it leaves."""

    sd: UpToHundred = Field(0.0, description="stationary standard deviation")
    persistence: BelowOne = Field(0.0, description="correlation with the period before")


class Surge(Model):
    """A scheduled change in the number of customers: times ``factor`` in ``length`` periods from ``start`` on.

    Sellers are not told. ``{start: 50, length: 3, factor: 2.0}`` doubles the customers of periods 50, 51 and 52.
    """

    start: int = Field(ge=0, description="period in which it begins; an episode's first is 0")
    length: int = Field(1, ge=1, description="periods")
    factor: NonNegative = Field(description="factor on the number of customers; those that overlap multiply")


class Customers(Model):
    """How many customers come in a period, and how they behave when their first choice is sold out.

    The number is Poisson with mean ``G_t * rate * weekly * yearly * trend * surges * shock``, ``G_t`` gamma with mean
    1 and variance ``dispersion`` (so the number is negative binomial; 0 is Poisson). Surges that overlap multiply.
    """

    mode: Literal["sampled", "expected"] = Field(
        "sampled", description="customers are drawn one by one, or sales are what is expected of them (fluid limit)"
    )
    rate: Positive = Field(description="mean customers a period")
    dispersion: NonNegative = Field(0.0, description="variance of a gamma factor on their number; 0: Poisson")
    basket: Positive = Field(1.0, description="units that a customer buys; a whole number when sampled")
    substitution: float = Field(
        1.0, ge=0, le=1, description="chance that who finds the first choice sold out chooses again"
    )
    weekly: tuple[NonNegative, ...] = Field((), description="factors on rate by period of a cycle of this length")
    yearly: Yearly | None = Field(None, description="a sinusoid in rate; null: none")
    trend: float = Field(0.0, gt=-1, lt=1, description="growth of rate a period, as a share")
    shock: Shock = Field(Shock(), description="an unseen shock to rate, log-normal AR(1)")
    surges: tuple[Surge, ...] = Field((), description="unannounced changes of rate at given dates")

    @model_validator(mode="after")
    def _whole_baskets(self) -> Self:
        if self.mode == "sampled" and self.basket != int(self.basket):
            raise ValueError("basket must be a whole number of units when customers.mode is sampled")
        if self.weekly and sum(self.weekly) == 0:
            raise ValueError("weekly factors must not all be zero")
        return self

    @property
    def largest_surge(self) -> float:
        """The largest factor that surges reach together; it is reached where one begins or, below 1, at a rest."""
        factors = [
            math.prod(other.factor for other in self.surges if other.start <= period < other.start + other.length)
            for period in {at for surge in self.surges for at in (surge.start, surge.start + surge.length)}
        ]
        return max(factors, default=1.0)


class Location(Model):
    """One place where the sellers meet: ``size`` times the market's customers, whose ``quality`` stands for the sellers' own."""

    name: str = Field(min_length=1, description="name, each once")
    size: Positive = Field(1.0, description="factor on rate")
    quality: tuple[Utility, ...] = Field(description="utility of each seller's good there, in their order")
    price_sensitivity: Positive | None = Field(
        None, description="utility per unit of f(price) there; null: the market's"
    )
    nest: BelowOne | None = Field(None, description="nested logit's rho there; null: the market's")


class Draw(Model):
    """One way in which an estimated market may be: a draw from what the estimate leaves open."""

    price_sensitivity: Positive = Field(description="utility per unit of f(price), in place of the market's")
    nest: BelowOne = Field(0.0, description="nested logit's rho, in place of the market's")
    quality: tuple[Utility, ...] = Field(description="utility added to each seller's good, in their order")
    shock: UpToHundred = Field(1.0, description="factor on the standard deviations of the demand shocks")


def _label(value: object) -> object:
    """The text that a file has for what YAML read as a number or a date."""
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, (int, float)) else value


Label = Annotated[str, BeforeValidator(_label)]


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"must be {RULE}")
    return text


def _known_columns(columns: dict[str, str]) -> dict[str, str]:
    problems = [problem for name in columns if (problem := no_column(name)) is not None]
    if problems:
        raise ValueError(problems[0])
    return columns


class TapeOptions(Model):
    """A sales file that drives the market: its shocks are those under which its prices give its sales."""

    file: Annotated[str, AfterValidator(lambda file: str(Path(file).absolute()))] = Field(
        min_length=1, description="CSV or Parquet, from the configuration's folder (market.salesfile.table)"
    )
    columns: Annotated[dict[str, str], AfterValidator(_known_columns)] = Field(
        default_factory=dict, description="the file's names of the columns, as {period: week}"
    )
    where: dict[str, Label] = Field(default_factory=dict, description="only rows with these values, by column")
    periods: tuple[Label | None, Label | None] | None = Field(
        None, description="only periods from the first to the last, both included; null: open"
    )
    sha256: str | None = Field(None, pattern=SHA256, description="the whole file's; null: pinned when it is read")

    def __hash__(self) -> int:
        chosen = tuple(sorted(self.columns.items())), tuple(sorted(self.where.items()))
        return hash((self.file, *chosen, self.periods, self.sha256))


def day_of(label: object) -> date | None:
    """The day that a label names, of a month its first; None where it is no date. "2024-03": the first of March."""
    if isinstance(label, date):
        return label.date() if isinstance(label, datetime) else label
    text = str(label)
    try:
        return date.fromisoformat(f"{text}-01" if len(text) == len("2024-03") else text)
    except ValueError:
        return None


class Origin(Model):
    """The sales file that a market was estimated from; its first period is the first of the market's season."""

    file: str = Field(min_length=1, description="its name")
    sha256: str = Field(pattern=SHA256, description="of the whole file")
    first: Label = Field(description="its first period")
    last: Label = Field(description="its last period: what was sold later is new to the market")
    instruments: tuple[str, ...] = Field((), description="instruments of the price")

    def period_of(self, day: date, step: str) -> int | None:
        """The number of the period in which a day lies, 0 the file's first; None where its periods are no dates.

        First 2024-01-01: 2024-01-20 is week 2, day 19 and month 0.
        """
        begins = day_of(self.first)
        if begins is None or step not in ("day", "week", "month"):
            return None
        if step == "month":
            return (day.year - begins.year) * 12 + day.month - begins.month
        return (day - begins).days // (7 if step == "week" else 1)


class DemandShock(Model):
    """``xi``: shocks to utility, AR(1), a part ``common`` to all sellers beside each seller's own ``xi``."""

    persistence: BelowOne = Field(0.0, description="correlation with the period before, of all parts")
    common: UpToHundred = Field(0.0, description="standard deviation of the part common to all sellers, utility")


class Events(Model):
    """Exogenous promotions, of geometric lengths, in a share of periods that is each seller's ``event_frequency``."""

    effect: Utility = Field(description="utility that an active event adds to a seller's good")
    mean_length: float = Field(ge=1, description="mean length, periods")
    announced: int = Field(0, ge=0, description="periods ahead in which all sellers see an event coming")


class ReferencePrice(Model):
    """Customers hold a price against what they are used to: adds ``weight (r_t - f(p_t))`` to a seller's utility.

    ``f`` the price or its logarithm (``price_form``); ``r`` is each seller's exponentially smoothed past price,
    ``r_t+1 = memory r_t + (1 - memory) f(p_t)``, and begins at f(first price) (Winer 1986, *Journal of Consumer
    Research* 13(2); Kalyanaram and Winer 1995, *Marketing Science* 14(3); Mazumdar, Raj and Sinha 2005, *Journal of
    Marketing* 69(4)). A cut is worth more than for good, and is paid for afterwards: ``{weight: 2, memory: 0.5}``,
    price 2, then 1, then 2 again: the term is 0, 2 (2 - 1) = 2 and 2 (1.5 - 2) = -1. Gains and losses weigh the same.
    """

    weight: UpToHundred = Field(description="utility per unit of money, or of its logarithm, below the reference")
    memory: BelowOne = Field(description="weight of the old reference in a period's update")


class Visibility(Model):
    """What a seller sees of its rivals: their last prices, and whether (or how much) they have in stock."""

    rivals_prices: Literal["last", "hidden"] = Field("last", description="the rivals' last prices are seen, or not")
    rivals_stock: Literal["hidden", "flag", "level"] = Field(
        "flag", description="of the rivals' stock nothing is seen, whether there is any, or how much"
    )


def worded(rule: str) -> WrapValidator:
    """Within a type of several forms: whatever is wrong with a value, this rule is what is said of it."""

    def take(value: object, validate: ValidatorFunctionWrapHandler) -> object:
        try:
            return validate(value)
        except ValidationError:
            raise ValueError(rule) from None

    return WrapValidator(take)


Axis = Annotated[
    Annotated[int, Field(ge=1, le=10_000)] | Annotated[tuple[Finite, ...], Field(min_length=1)],
    worded("must be a count from 1 to 10000 (evenly spaced) or a list of numbers"),
]


class Grid(Model):
    """A seat's discrete decisions: prices x order-up-to levels, each a count (evenly spaced) or a list."""

    prices: Axis = Field(description="prices, money per unit: how many, evenly over the range, or which")
    levels: Axis = Field(1, description="order-up-to levels, units: how many, evenly over the range, or which")


class Center(Model):
    """The decision that a Box action of zeros stands for; actions near zero are finer than those far from it."""

    price: NonNegative = Field(description="price, money per unit")
    level: NonNegative = Field(0.0, description="order-up-to level, units")


class SellerSpec(Model):
    """One seller: what its good is worth, what it costs, and the ranges in which it decides."""

    name: Annotated[str, AfterValidator(_name)] = Field(description="name, each once")
    quality: Utility = Field(description="utility of the good without what its price takes away")
    unit_cost: NonNegative = Field(description="money per unit ordered; made to order: per unit sold")
    prices: LowHigh = Field(description="money per unit: lowest and highest price that it may post")
    prices_on_file: LowHigh | None = Field(
        None, description="money per unit: lowest and highest on record; outside them demand is not known; null: none"
    )
    order_up_to: LowHigh = Field((0.0, 0.0), description="units: inventory positions that an order may aim at")
    order_cost: NonNegative = Field(0.0, description="money per order placed")
    holding_cost: NonNegative = Field(0.0, description="money per unit left at the end of a period")
    stockout_cost: NonNegative = Field(0.0, description="money per unit wanted and not in stock")
    price_change_cost: NonNegative = Field(0.0, description="money per change of the posted price")
    lead_time: int = Field(0, ge=0, le=64, description="periods from order to arrival")
    stock: NonNegative = Field(0.0, description="units on hand at the start")
    start_price: float | None = Field(None, description="money per unit, before the first decision; null: mid-range")
    xi: UpToHundred = Field(0.0, description="standard deviation of the seller's own demand shock, utility")
    event_frequency: BelowOne = Field(0.0, description="share of periods with an event of the market's events")
    grid: Grid | None = Field(None, description="discrete decisions; null: none, and dqn gets one placed by theory")
    actions: Literal["box", "grid"] = Field(
        "box", description="decisions of learners that can do both, and of environments"
    )
    center: Center | None = Field(
        None,
        description="decision that a Box action of zeros stands for; null: the middle of the ranges, and a2c and ddpg get "
        "one placed by theory",
    )
    reward_scale: Positive | None = Field(
        None, description="money a period that is a reward of 1; null: the seat's Bertrand-Nash profit"
    )

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for key in ("prices", "order_up_to"):
            low, high = getattr(self, key)
            if not 0 <= low <= high:
                raise ValueError(f"{key} must be [low, high] with 0 <= low <= high, got [{low}, {high}]")
        if self.prices_on_file is not None and not self.prices_on_file[0] <= self.prices_on_file[1]:
            raise ValueError(f"prices_on_file must be [low, high] with low <= high, got {list(self.prices_on_file)}")
        low, high = self.prices
        if self.start_price is not None and not low <= self.start_price <= high:
            raise ValueError(f"start_price {self.start_price} lies outside prices [{low}, {high}]")
        if self.center is not None:
            for key, (low, high) in (("price", self.prices), ("level", self.order_up_to)):
                if not low <= (value := getattr(self.center, key)) <= high:
                    raise ValueError(f"center.{key} {value} lies outside [{low}, {high}]")
        for axis, (low, high) in (("prices", self.prices), ("levels", self.order_up_to)):
            values = getattr(self.grid, axis, None)
            none = axis == "levels" and self.order_cost > 0  # level 0 is no order then
            if isinstance(values, tuple) and not all(low <= value <= high or (none and value == 0) for value in values):
                raise ValueError(f"grid.{axis} must lie inside [{low}, {high}]" + (", or be 0: no order" * none))
        return self

    def off_file(self, price: float) -> bool:
        """Whether a price, money, lies outside the prices on file, where the market is a guess of the model's form."""
        if self.prices_on_file is None:
            return False
        low, high = self.prices_on_file
        return not low * (1 - 1e-9) <= price <= high * (1 + 1e-9)

    @property
    def first_price(self) -> float:
        """The price on the shelf before the first decision: ``start_price`` or the middle of the range."""
        return self.start_price if self.start_price is not None else sum(self.prices) / 2


def _outside(value: object) -> object:
    if value is None or (isinstance(value, str) and value != "none"):
        raise ValueError("must be a utility from -100 to 100 (0 is usual), or none: everyone buys")
    return -math.inf if value == "none" else value


class MarketSpec(Model):
    """A market of sellers who share one stream of customers. See market/README.md for the model on half a page."""

    name: str = Field("market", description="name")
    period: str = Field("period", description="what a period is called: day, week")
    horizon: int = Field(ge=1, le=1_000_000, description="periods in an episode")
    inventory: Literal["stocked", "make_to_order"] = Field(
        "stocked", description="sellers hold stock and order it, or make what is wanted"
    )
    price_form: Literal["linear", "log"] = Field(
        "linear", description="utility falls with f(price): the price, or its logarithm"
    )
    price_sensitivity: Positive = Field(description="utility per unit of f(price)")
    nest: BelowOne = Field(
        0.0, description="nested logit's rho: how much closer sellers are to one another than to buying nothing"
    )
    outside: Annotated[float, BeforeValidator(_outside)] = Field(
        0.0, le=100, description="utility of buying nothing; none: everyone buys"
    )
    customers: Customers = Field(description="who comes")
    season: tuple[Utility, ...] = Field(
        (), description="utility added to all goods by period of a cycle of this length"
    )
    locations: tuple[Location, ...] = Field((), description="places of different size and qualities, one an episode")
    uncertainty: Literal["on", "off"] = Field(
        "off",
        description="on: an episode plays one of draws; off: the market as it is estimated, which theory always takes",
    )
    draws: tuple[Draw, ...] = Field((), description="markets that the estimate leaves open, each as likely")
    tape: TapeOptions | None = Field(None, description="a sales file that drives the market; null: none")
    estimated_from: Origin | None = Field(None, description="where bazaar calibrate had it from; null: written by hand")
    demand_shock: DemandShock = Field(DemandShock(), description="unseen shocks to utility, AR(1)")
    events: Events | None = Field(None, description="exogenous promotions; null: none")
    reference_price: ReferencePrice | None = Field(
        None, description="customers hold a price against what they are used to; null: they do not"
    )
    visibility: Visibility = Field(Visibility(), description="what sellers see of their rivals")
    observe: tuple[Literal["demand_forecast"], ...] = Field(
        (), description="what sellers see besides: a forecast of their own demand over lead time + 1 periods, units"
    )
    sellers: tuple[SellerSpec, ...] = Field(description="those who compete, one or more")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [seller.name for seller in self.sellers]
        if not names:
            raise ValueError("sellers must name at least one seller")
        if len(set(names)) < len(names):
            raise ValueError(f"sellers must have different names, got {', '.join(names)}")
        if len(set(self.observe)) < len(self.observe):
            raise ValueError(f"observe must name different features, got {', '.join(self.observe)}")
        if not (self.outside == -math.inf or self.outside >= -100):
            raise ValueError("outside must be a utility from -100 to 100 (0 is usual), or none: everyone buys")
        self._check_customers()
        self._check_locations()
        self._check_draws()
        if self.tape is not None and self.outside == -math.inf:
            raise ValueError("tape needs an outside option: shares of a market where everyone buys show no utilities")
        for k, seller in enumerate(self.sellers):
            self._check_seller(f"sellers.{k} ({seller.name})", seller)
        return self

    def _check_customers(self) -> None:
        growth = max(0.0, (self.horizon - 1) * math.log1p(self.customers.trend))
        yearly = self.customers.yearly.amplitude if self.customers.yearly else 0
        busiest = max(self.customers.weekly, default=1.0) * (1 + yearly) * max(1.0, self.customers.largest_surge)
        largest = max((location.size for location in self.locations), default=1.0)
        if growth + math.log(self.customers.rate * busiest * largest) > math.log(MOST_CUSTOMERS):
            remedy = "rate, trend, surges or horizon" if self.customers.surges else "rate, trend or horizon"
            if largest > 1:
                remedy = f"locations' size, {remedy}"
            raise ValueError(f"customers come to more than {MOST_CUSTOMERS:g} in a period: lower {remedy}")
        for k, surge in enumerate(self.customers.surges):
            if surge.start >= self.horizon:
                raise ValueError(
                    f"customers.surges.{k}.start {surge.start} lies beyond the episode: the last of {self.horizon} "
                    f"periods is {self.horizon - 1}"
                )

    def _check_locations(self) -> None:
        names = [location.name for location in self.locations]
        if len(set(names)) < len(names):
            raise ValueError(f"locations must have different names, got {', '.join(names)}")
        for k, location in enumerate(self.locations):
            if len(location.quality) != len(self.sellers):
                raise ValueError(
                    f"locations.{k} ({location.name}).quality must have {len(self.sellers)} numbers, one a seller, "
                    f"got {len(location.quality)}"
                )

    def _check_draws(self) -> None:
        if self.uncertainty == "on" and not self.draws:
            raise ValueError("uncertainty: on needs draws, which bazaar calibrate writes")
        own = any(place.price_sensitivity or place.nest is not None for place in self.locations)
        if own and (self.draws or self.tape):
            raise ValueError(
                "locations with a price_sensitivity or nest of their own do not go together with draws or a tape"
            )
        for k, draw in enumerate(self.draws):
            if len(draw.quality) != len(self.sellers):
                raise ValueError(
                    f"draws.{k}.quality must have {len(self.sellers)} numbers, one a seller, got {len(draw.quality)}"
                )

    def _check_seller(self, place: str, seller: SellerSpec) -> None:
        if self.price_form == "log" and seller.prices[0] <= 0:
            raise ValueError(f"{place}.prices must start above 0 when price_form is log")
        if seller.event_frequency > 0:
            if self.events is None:
                raise ValueError(f"{place}.event_frequency needs the market's events: {{effect, mean_length}}")
            start = seller.event_frequency / (self.events.mean_length * (1 - seller.event_frequency))
            if start > 1:
                raise ValueError(
                    f"{place}.event_frequency {seller.event_frequency} cannot be reached with events of mean length "
                    f"{self.events.mean_length}: at most {self.events.mean_length / (1 + self.events.mean_length):.3f}"
                )
        if self.inventory == "make_to_order":
            self._check_made_to_order(place, seller)
        elif self.customers.mode == "sampled" and seller.stock != int(seller.stock):
            raise ValueError(f"{place}.stock must be whole units when customers.mode is sampled")

    def _check_made_to_order(self, place: str, seller: SellerSpec) -> None:
        costs = ("stock", "holding_cost", "order_cost", "stockout_cost", "lead_time")
        given = {key: bool(getattr(seller, key)) for key in costs}
        given["order_up_to"] = seller.order_up_to != (0.0, 0.0)
        given["grid.levels"] = seller.grid is not None and seller.grid.levels not in (1, (0.0,))
        if key := next(filter(given.get, given), None):
            raise ValueError(f"{place}.{key} means nothing when inventory is make_to_order: leave it out")

    @property
    def stocked(self) -> bool:
        """Whether sellers hold stock and order it (False: made to order)."""
        return self.inventory == "stocked"

    @property
    def prices_linger(self) -> bool:
        """Whether past prices move demand: a reference price of weight above 0."""
        return self.reference_price is not None and self.reference_price.weight > 0

    @property
    def forecasts(self) -> bool:
        """Whether sellers observe a forecast of their own demand."""
        return "demand_forecast" in self.observe

    @property
    def names(self) -> list[str]:
        """The sellers' names in seat order."""
        return [seller.name for seller in self.sellers]

    def seat_place(self, seat: int) -> str:
        """The key path of a seat, as messages about it begin."""
        return f"market.sellers.{seat} ({self.sellers[seat].name})"

    @property
    def max_lead_time(self) -> int:
        """The longest lead time L in periods."""
        return max(seller.lead_time for seller in self.sellers)

    @property
    def announced(self) -> int:
        """How many periods ahead events are observed (0 without events)."""
        return self.events.announced if self.events else 0

    @property
    def sizes(self) -> tuple[float, ...]:
        """The locations' sizes; a market without locations is one of size 1."""
        return tuple(location.size for location in self.locations) or (1.0,)

    @property
    def centre(self) -> tuple[float, float]:
        """Price sensitivity and rho as theory takes them: the market's, or locations' own, weighted by size.

        Locations of size 1 and 3 with price sensitivities 1 and 3: (1 + 9) / 4 = 2.5.
        """
        own = [(place.size, place.price_sensitivity, place.nest) for place in self.locations]
        if all(sensitivity is None and nest is None for _, sensitivity, nest in own):
            return self.price_sensitivity, self.nest
        total = sum(size for size, _, _ in own)
        sensitivity = sum(size * (self.price_sensitivity if a is None else a) for size, a, _ in own) / total
        return sensitivity, sum(size * (self.nest if rho is None else rho) for size, _, rho in own) / total

    @property
    def certain(self) -> MarketSpec:
        """The market as it is estimated: itself, unless its episodes play draws."""
        return self if self.uncertainty == "off" else self.model_copy(update={"uncertainty": "off"})

    @property
    def played(self) -> tuple[Draw, ...]:
        """The draws that episodes play; none where the market is played as it is estimated."""
        return self.draws if self.uncertainty == "on" else ()

    @classmethod
    def parse(cls, data: object, where: str = "market") -> MarketSpec:
        """Build a spec from plain data; raise :class:`~market.errors.UserError` with the key's path when it does not fit."""
        if isinstance(data, dict) and isinstance(data.get("uncertainty"), bool):  # YAML reads on and off so
            data = data | {"uncertainty": "on" if data["uncertainty"] else "off"}
        refuse_booleans(data, where)
        return parse_model(cls, data, where)

    @classmethod
    def load(cls, path: str | Path) -> MarketSpec:
        """Read a YAML file, or a built-in one by name: its ``market:`` part, or the whole file when it has none."""
        path = find(path)
        data = read_yaml(path)
        market = data.get("market", data)
        find_tape(market, path)
        return cls.parse(market, f"{path}: market")

    def dump(self) -> dict[str, Any]:
        """Plain data that :meth:`parse` reads back into an equal spec."""
        data = self.model_dump(mode="json", exclude_none=True)
        data["outside"] = "none" if self.outside == -math.inf else self.outside
        return data
