"""What a configuration may say under ``selfplay``: who learns against whom. Needs no Tianshou."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from market.errors import UserError
from market.spec.loading import parse_model
from market.spec.models import Model
from policies.config.fields import Count

Share = Annotated[float, Field(ge=0, le=1)]


class SelfPlayOptions(Model):
    """What all modes share: ``mode`` names one."""

    mode: str


class IndependentOptions(SelfPlayOptions):
    """All learn at once in one market, each from its own seat's rewards."""

    mode: Literal["independent"] = "independent"
    line_ups: Share = Field(
        default=0.5,
        description="share of a learner's rows in which its rivals follow the line-ups that sellers are evaluated against; "
        "in the others the learners meet one another. 0: they meet nobody else",
    )


class SharedOptions(SelfPlayOptions):
    """One learner plays several seats (parameter sharing: Gupta, Egorov & Kochenderfer 2017)."""

    mode: Literal["shared"] = "shared"
    seats: tuple[str, ...] | None = Field(
        default=None, description="names of the seats that one learner plays; null: all learners' seats"
    )
    indicator: bool = Field(
        default=False, description="append a one-hot number of the seat to what the learner sees of it"
    )


class LeagueOptions(SelfPlayOptions):
    """Rivals drawn for each row from a population, the harder ones more often (Vinyals et al. 2019)."""

    mode: Literal["league"] = "league"
    current: Share = Field(default=0.2, description="share of rows whose rivals are the learners as they are now")
    snapshots: Share = Field(default=0.2, description="share of rows whose rivals are past learners")
    fixed: Share = Field(default=0.6, description="share of rows whose rivals are fixed competitors")
    distance: Count | None = Field(
        default=None, description="seller-periods between two snapshots; null: a twentieth of the budget"
    )
    pool: PositiveInt = Field(default=8, description="snapshots kept of each learner")
    evict: Literal["easiest", "oldest"] = Field(
        default="easiest", description="which snapshot leaves a full pool: the one least drawn, or the oldest"
    )
    competitors: tuple[Any, ...] = Field(
        default=(), description="rules of the fixed competitors; none: a list of eight"
    )
    measure: Literal["regret", "shortfall", "margin"] = Field(
        default="regret",
        description="what makes a rival hard: a profit below what the best fixed competitor earns against it (regret; of "
        "learners, against whom that is not known, as shortfall), a low profit (shortfall), or a rival's that is higher",
    )
    hardness: float = Field(default=1.0, ge=0, le=10, description="exponent of the weight of hard rivals; 0: all alike")
    uniform: Share = Field(default=0.5, description="share of draws that are uniform, so that nobody is forgotten")
    average: Share = Field(
        default=0.1,
        description="share of the run over which the weights of the policy that is evaluated and saved are averaged; 0: none",
    )
    memory: PositiveInt = Field(default=500, description="episodes after which a rating forgets")

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        total = self.current + self.snapshots + self.fixed
        if abs(total - 1) > 1e-9:
            raise ValueError(f"current, snapshots and fixed must add up to 1, not {total:g}")
        return self


class PSROOptions(SelfPlayOptions):
    """Rounds of best responses to the equilibrium of a population (policy-space response oracles, Lanctot et al. 2017)."""

    mode: Literal["psro"] = "psro"
    rounds: PositiveInt = Field(default=8, description="best responses of each seat; the budget is divided among them")
    start: tuple[Any, ...] = Field(
        default=(), description="rules that the pool of every seat begins with; none: random prices"
    )
    warm_start: bool = Field(
        default=True, description="a response begins with the weights of the seat's last one; false: with random ones"
    )
    episodes: PositiveInt = Field(default=64, description="episodes that each line-up of the empirical game is played")


MODES: dict[str, type[SelfPlayOptions]] = {
    "independent": IndependentOptions,
    "shared": SharedOptions,
    "league": LeagueOptions,
    "psro": PSROOptions,
}


def parse_mode(data: object, where: str) -> SelfPlayOptions:
    """Read a mode, ``league`` or ``{mode: league, pool: 12}``; raise :class:`UserError` with the key's path."""
    if isinstance(data, SelfPlayOptions):
        return data
    given = {"mode": data} if isinstance(data, str) else data
    if not isinstance(given, dict) or "mode" not in given:
        raise UserError(f"{where}: must be a mode, or a mapping with the key mode; the modes are {', '.join(MODES)}")
    if given["mode"] not in MODES:
        raise UserError(f"{where}.mode: unknown mode {given['mode']!r}; the modes are {', '.join(MODES)}")
    return parse_model(MODES[given["mode"]], given, where)
