"""The configuration of a market: frozen models, YAML in and out.

Unknown keys and contradictions are refused with the path of the key. Money is in the currency of the prices,
stock in units, time in periods (a day or a week: ``period`` names it).
"""

from __future__ import annotations

import math
from datetime import date
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

from market.salesfile.table import no_column
from market.spec.builtin import find
from market.spec.loading import find_tape, parse_model, read_yaml, refuse_booleans

HUGE = 1e12  # no amount is larger, so that no sum of amounts overflows
MOST_CUSTOMERS = 1e9  # a period; counts beyond are not exact

NonNegative = Annotated[float, Field(ge=0, le=HUGE)]
Positive = Annotated[float, Field(gt=0, le=HUGE)]
Finite = Annotated[float, Field(ge=-HUGE, le=HUGE)]
Utility = Annotated[float, Field(ge=-100, le=100)]
Deviation = Annotated[float, Field(ge=0, le=100)]
Persistence = Annotated[float, Field(ge=0, lt=1)]
Range = tuple[Finite, Finite]


class Model(BaseModel):
    """Base of every configuration model: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Yearly(Model):
    """A sinusoid in the number of customers: factor ``1 + amplitude cos(2 pi (t - peak) / length)``."""

    amplitude: Annotated[float, Field(ge=0, lt=1)]
    peak: Finite = 0.0
    length: Positive = 365.0


class Shock(Model):
    """A stationary Gaussian AR(1) process: ``sd`` is its stationary standard deviation."""

    sd: Deviation = 0.0
    persistence: Persistence = 0.0


class Surge(Model):
    """A scheduled change in the number of customers: times ``factor`` in ``length`` periods from ``start`` on.

    Sellers are not told. ``{start: 50, length: 3, factor: 2.0}`` doubles the customers of periods 50, 51 and 52.
    """

    start: Annotated[int, Field(ge=0)]
    length: Annotated[int, Field(ge=1)] = 1
    factor: NonNegative


class Customers(Model):
    """How many customers come in a period, and how they behave when their first choice is sold out.

    The number is Poisson with mean ``G_t * rate * weekly * yearly * trend * surges * shock``, ``G_t`` gamma with mean
    1 and variance ``dispersion`` (so the number is negative binomial; 0 is Poisson). Surges that overlap multiply.
    """

    mode: Literal["sampled", "expected"] = "sampled"
    rate: Positive
    dispersion: NonNegative = 0.0
    basket: Positive = 1.0
    substitution: Annotated[float, Field(ge=0, le=1)] = 1.0
    weekly: tuple[NonNegative, ...] = ()
    yearly: Yearly | None = None
    trend: Annotated[float, Field(gt=-1, lt=1)] = 0.0
    shock: Shock = Shock()
    surges: tuple[Surge, ...] = ()

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
    """One place where the sellers meet: ``size`` times the market's customers, who value the sellers' ``quality`` so.

    ``quality`` has one number a seller, in their order, and stands for the sellers' own.
    """

    name: Annotated[str, Field(min_length=1)]
    size: Positive = 1.0
    quality: tuple[Utility, ...]


def _label(value: object) -> object:
    """The text that a file has for what YAML read as a number or a date."""
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, (int, float)) else value


Label = Annotated[str, BeforeValidator(_label)]


def _known_columns(columns: dict[str, str]) -> dict[str, str]:
    problems = [problem for name in columns if (problem := no_column(name)) is not None]
    if problems:
        raise ValueError(problems[0])
    return columns


class TapeOptions(Model):
    """A sales file that drives the market: its shocks are those under which its prices give its sales.

    ``columns`` name the file's columns (``market.salesfile.table``); ``where`` keeps the rows with these values in these
    columns of the file, ``periods`` those of periods from the first to the last, both included (null: open);
    ``sha256``, where given, must be the whole file's.
    """

    file: Annotated[str, Field(min_length=1), AfterValidator(lambda file: str(Path(file).absolute()))]
    columns: Annotated[dict[str, str], AfterValidator(_known_columns)] = Field(default_factory=dict)
    where: dict[str, Label] = Field(default_factory=dict)
    periods: tuple[Label | None, Label | None] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    def __hash__(self) -> int:
        chosen = tuple(sorted(self.columns.items())), tuple(sorted(self.where.items()))
        return hash((self.file, *chosen, self.periods, self.sha256))


class DemandShock(Model):
    """``xi``: shocks to utility, AR(1), a part ``common`` to all sellers beside each seller's own ``xi``."""

    persistence: Persistence = 0.0
    common: Deviation = 0.0


class Events(Model):
    """Exogenous promotions: an active event adds ``effect`` to a seller's utility.

    Lengths are geometric with mean ``mean_length`` periods; each seller's ``event_frequency`` is the share of
    periods with an event. Events are observed by all sellers ``announced`` periods ahead.
    """

    effect: Utility
    mean_length: Annotated[float, Field(ge=1)]
    announced: Annotated[int, Field(ge=0)] = 0


class ReferencePrice(Model):
    """Customers hold a price against what they are used to: adds ``weight (r_t - f(p_t))`` to a seller's utility.

    ``f`` the price or its logarithm (``price_form``); ``r`` is each seller's exponentially smoothed past price,
    ``r_t+1 = memory r_t + (1 - memory) f(p_t)``, and begins at f(first price) (Winer 1986, *Journal of Consumer
    Research* 13(2); Kalyanaram and Winer 1995, *Marketing Science* 14(3); Mazumdar, Raj and Sinha 2005, *Journal of
    Marketing* 69(4)). A cut is worth more than for good, and is paid for afterwards: ``{weight: 2, memory: 0.5}``,
    price 2, then 1, then 2 again: the term is 0, 2 (2 - 1) = 2 and 2 (1.5 - 2) = -1. Gains and losses weigh the same.
    """

    weight: Annotated[float, Field(ge=0, le=100)]
    memory: Persistence


class Visibility(Model):
    """What a seller sees of its rivals: their last prices, and whether (or how much) they have in stock."""

    rivals_prices: Literal["last", "hidden"] = "last"
    rivals_stock: Literal["hidden", "flag", "level"] = "flag"


def _count_or_list(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    try:
        return validate(value)
    except ValidationError:
        raise ValueError("must be a count from 1 to 10000 (evenly spaced) or a list of numbers") from None


Axis = Annotated[
    Annotated[int, Field(ge=1, le=10_000)] | Annotated[tuple[Finite, ...], Field(min_length=1)],
    WrapValidator(_count_or_list),
]


class Grid(Model):
    """A seat's discrete decisions: prices x order-up-to levels, each a count (evenly spaced) or a list."""

    prices: Axis
    levels: Axis = 1


class SellerSpec(Model):
    """One seller. Costs per unit, per order or per period as their names say; ranges are what it may decide."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_.\-]+$")]
    quality: Utility
    unit_cost: NonNegative
    prices: Range
    order_up_to: Range = (0.0, 0.0)
    order_cost: NonNegative = 0.0
    holding_cost: NonNegative = 0.0
    stockout_cost: NonNegative = 0.0
    price_change_cost: NonNegative = 0.0
    lead_time: Annotated[int, Field(ge=0, le=64)] = 0
    stock: NonNegative = 0.0
    start_price: float | None = None
    xi: Deviation = 0.0
    event_frequency: Annotated[float, Field(ge=0, lt=1)] = 0.0
    grid: Grid | None = None
    actions: Literal["box", "grid"] = "box"
    reward_scale: Positive | None = None

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for key in ("prices", "order_up_to"):
            low, high = getattr(self, key)
            if not 0 <= low <= high:
                raise ValueError(f"{key} must be [low, high] with 0 <= low <= high, got [{low}, {high}]")
        low, high = self.prices
        if self.start_price is not None and not low <= self.start_price <= high:
            raise ValueError(f"start_price {self.start_price} lies outside prices [{low}, {high}]")
        if self.actions == "grid" and self.grid is None:
            raise ValueError("actions: grid needs grid: {prices: ..., levels: ...}")
        self._grid_inside()
        return self

    def _grid_inside(self) -> None:
        if self.grid is None:
            return
        for axis, bounds in (("prices", self.prices), ("levels", self.order_up_to)):
            values = getattr(self.grid, axis)
            if isinstance(values, tuple) and not all(bounds[0] <= v <= bounds[1] for v in values):
                raise ValueError(f"grid.{axis} must lie inside [{bounds[0]}, {bounds[1]}]")

    @property
    def first_price(self) -> float:
        """The price on the shelf before the first decision: ``start_price`` or the middle of the range."""
        return self.start_price if self.start_price is not None else sum(self.prices) / 2


def _outside(value: object) -> object:
    if value is None or (isinstance(value, str) and value != "none"):
        raise ValueError("must be a utility from -100 to 100 (0 is usual), or none: everyone buys")
    return -math.inf if value == "none" else value


class MarketSpec(Model):
    """A market of sellers who share one stream of customers. See the README for the model on half a page.

    ``observe`` adds to what every seller sees: ``demand_forecast``, of its own demand over its lead time + 1 periods
    (``market.simulation.observation.forecast_windows``).
    """

    name: str = "market"
    period: str = "period"
    horizon: Annotated[int, Field(ge=1, le=1_000_000)]
    inventory: Literal["stocked", "make_to_order"] = "stocked"
    price_form: Literal["linear", "log"] = "linear"
    price_sensitivity: Positive
    nest: Annotated[float, Field(ge=0, lt=1)] = 0.0
    outside: Annotated[float, BeforeValidator(_outside), Field(le=100)] = 0.0
    customers: Customers
    season: tuple[Utility, ...] = ()
    locations: tuple[Location, ...] = ()
    tape: TapeOptions | None = None
    demand_shock: DemandShock = DemandShock()
    events: Events | None = None
    reference_price: ReferencePrice | None = None
    visibility: Visibility = Visibility()
    observe: tuple[Literal["demand_forecast"], ...] = ()
    sellers: tuple[SellerSpec, ...]

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
        if self.tape is not None and self.outside == -math.inf:
            raise ValueError("tape needs an outside option: shares of a market where everyone buys show no utilities")
        for k, seller in enumerate(self.sellers):
            self._check_seller(f"sellers.{k} ({seller.name})", seller)
        return self

    def _check_customers(self) -> None:
        growth = max(0.0, (self.horizon - 1) * math.log1p(self.customers.trend))
        busiest = max(self.customers.weekly, default=1.0) * (
            1 + (self.customers.yearly or Yearly(amplitude=0)).amplitude
        )
        busiest *= max(1.0, self.customers.largest_surge)
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
        for key in ("stock", "holding_cost", "order_cost", "stockout_cost", "lead_time"):
            if getattr(seller, key):
                raise ValueError(f"{place}.{key} means nothing when inventory is make_to_order: leave it out")
        if seller.order_up_to != (0.0, 0.0):
            raise ValueError(f"{place}.order_up_to means nothing when inventory is make_to_order: leave it out")
        if seller.grid is not None and seller.grid.levels not in (1, (0.0,)):
            raise ValueError(f"{place}.grid.levels means nothing when inventory is make_to_order: leave it out")

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

    @classmethod
    def parse(cls, data: object, where: str = "market") -> MarketSpec:
        """Build a spec from plain data; raise :class:`~market.errors.UserError` with the key's path when it does not fit."""
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
