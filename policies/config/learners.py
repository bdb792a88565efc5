"""What a configuration may say of a learner: one model of options per algorithm, its reward and aversion to risk.

Needs no Tianshou.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, PositiveInt, model_validator

from market.spec.models import Model, worded

USUAL_PERIODS = 1_000_000  # of a seller in a run: what default options were searched with


class _Options(Model):
    model_config = ConfigDict(allow_inf_nan=False)


class Mixture(_Options):
    """A reward of ``own`` x own profit + (1 - ``own``) x the market's total."""

    own: float = Field(ge=0, le=1, description="weight of own profit")


Reward = Annotated[
    Literal["own", "minus_best_rival"] | Mixture,
    worded("must be own, minus_best_rival, or {own: w} with w from 0 to 1"),
]


class Risk(_Options):
    """How much the lower tail counts beside the mean: (1 - ``weight``) x mean + ``weight`` x CVaR."""

    cvar: float = Field(gt=0, le=1, description="share of the worst outcomes that CVaR is the mean of")
    weight: float = Field(1.0, ge=0, le=1, description="weight of CVaR in the objective; the mean has the rest")


class LearnerOptions(_Options):
    """What all learners share."""

    hidden: tuple[PositiveInt, ...] = Field((64, 64), description="units of each hidden layer, of every network")
    lr: float = Field(1e-3, gt=0, description="Adam's step size at the start")
    lr_final: float = Field(0.02, ge=0, le=1, description="step size at the end of the run, as a fraction of lr")
    lr_schedule: Literal["constant", "linear", "cosine", "exponential"] = Field(
        "linear", description="how the step size goes from lr to lr_final over the run; constant stays at lr"
    )
    loss: Literal["mse", "huber"] = Field(
        "mse",
        description="what a network of values minimises: the squared error, or Huber's, which large errors sway less",
    )
    huber_delta: float = Field(
        1.0,
        gt=0,
        description="error up to which huber is half its square; linear beyond. In rewards as they are learned",
    )
    max_grad_norm: float | None = Field(
        None, gt=0, description="L2 norm that an optimiser's gradients are clipped to; null: never"
    )
    gamma: float = Field(0.95, ge=0, lt=1, description="discount factor per period")
    stock_at_cost: bool = Field(
        True,
        description="learn from rewards in which stock is an asset at cost until it is sold; changes no best policy",
    )
    center_rewards: bool = Field(True, description="subtract the running mean reward from rewards before learning")
    normalize_returns: bool = Field(
        False, description="divide rewards by the running standard deviation of their discounted sums before learning"
    )
    normalize_observations: bool = Field(
        False,
        description="give each observed number mean 0 and sd 1, as seen so far, in place of the scale that theory expects; "
        "saved with the network",
    )
    reward: Reward = Field(
        "own", description="what is maximised: own profit, minus_best_rival, or {own: w}, the rest the market's total"
    )
    risk: Risk | None = Field(None, description="{cvar: 0.1, weight: 1}: aversion to the lower tail; null: the mean")
    stack: int = Field(
        1,
        ge=1,
        le=64,
        description="observations that the networks see, of the last periods; before an episode's first, its first",
    )
    begin_from: str | None = Field(
        None,
        min_length=1,
        description="a saved seller (checkpoints/NAME.best.pt of a run) whose network it begins with; null: a new one",
    )
    report_every: PositiveInt = Field(16, description="updates between two reports of learn()")

    @model_validator(mode="before")
    @classmethod
    def _one_memory_is_left(cls, given: Any) -> Any:
        """``memory`` of older configurations chose between memories that learn the same; it is read and says nothing."""
        if isinstance(given, dict) and given.get("memory") in ("auto", "numpy", "device"):
            return {key: value for key, value in given.items() if key != "memory"}
        return given

    @model_validator(mode="after")
    def _falls(self) -> Self:
        """What falls over a run ends at or below its start (``lr_final`` is a fraction of it), and above 0 if exponentially."""
        for name in ("epsilon", "noise", "entropy", "n_step"):
            start, end = getattr(self, name, 0.0), getattr(self, f"{name}_final", 0.0)
            if end > start:
                raise ValueError(f"{name}_final {end} must not exceed {name} {start}")
        for name in ("lr", "epsilon", "noise"):
            if getattr(self, f"{name}_schedule", None) == "exponential" and not getattr(self, f"{name}_final"):
                raise ValueError(f"{name}_final must be above 0 for an exponential schedule, which never reaches 0")
        return self

    def over(self, periods: int) -> Self:
        """The options of a seller that plays so many periods in all, on which what was left out may depend."""
        return self

    @property
    def plain(self) -> bool:
        """Whether mean profit is all that the learner is after."""
        return self.reward == "own" and self.risk is None

    @property
    def learned_quantiles(self) -> int | None:
        """How many quantiles are learned of each action's return; None: only the mean."""
        return None


class RecurrentOptions(LearnerOptions):
    """What learners share whose networks can be recurrent."""

    recurrent: Literal["none", "gru", "lstm"] = Field(
        "none", description="a cell beside the observation, in every network, that carries what was seen before"
    )
    recurrent_size: PositiveInt = Field(64, le=4096, description="units of the cell")

    @model_validator(mode="after")
    def _one_memory(self) -> RecurrentOptions:
        if self.recurrent != "none" and self.stack > 1:
            raise ValueError(f"recurrent {self.recurrent} and stack {self.stack}: a network has one or the other")
        return self


class ReplayOptions(LearnerOptions):
    """What learners with a replay buffer share."""

    n_step: PositiveInt = Field(3, description="periods of real rewards in a return before the target network's value")
    batch_size: PositiveInt = Field(256, description="transitions per update")
    replay_ratio: float = Field(2.0, gt=0, description="transitions drawn per transition stored")
    buffer: PositiveInt = Field(200_000, description="transitions kept, rounded down to whole periods of all rows")
    warm_up: int = Field(5_000, ge=0, description="transitions stored before the first update")

    @model_validator(mode="after")
    def _fits(self) -> ReplayOptions:
        if self.warm_up > self.buffer:
            raise ValueError(f"warm_up {self.warm_up} must not exceed buffer {self.buffer}: updates would never begin")
        if self.batch_size > self.buffer:
            raise ValueError(f"batch_size {self.batch_size} must not exceed buffer {self.buffer}")
        return self


class DQNOptions(ReplayOptions, RecurrentOptions):
    """Deep Q learning on a grid of actions (Mnih et al. 2015); from sequences where it is recurrent."""

    sequence: PositiveInt = Field(16, description="recurrent only: consecutive periods that are learned from at once")
    burn_in: int = Field(
        8, ge=0, description="recurrent only: periods before a sequence that bring the cell up to date, nothing else"
    )

    n_step_final: PositiveInt = Field(
        1,
        description="the same from epsilon_fraction of the run on: longer returns settle sooner, shorter ones have less noise",
    )
    lr: float = Field(2e-3, gt=0, description="Adam's step size at the start")
    replay_ratio: float = Field(4.0, gt=0, description="transitions drawn per transition stored")
    double: bool = Field(
        True, description="choose the next action by the online network, value it by the target network"
    )
    axes: bool = Field(
        True,
        description="values are polynomials along prices and levels, or on a grid of counts (over whole ranges) sums of a state's, "
        "a price's, a level's and joint parts, and of parts that neighbours share; not where quantiles are learned. false: "
        "each decision's is learned alone",
    )
    target_update: PositiveInt = Field(50, description="updates between two copies into the target network")
    epsilon: float = Field(1.0, ge=0, le=1, description="probability of a random action at the start")
    epsilon_final: float = Field(0.02, ge=0, le=1, description="the same from epsilon_fraction of the run on")
    epsilon_fraction: float = Field(0.5, gt=0, le=1, description="fraction of the run over which epsilon falls")
    epsilon_schedule: Literal["linear", "exponential"] = Field("linear", description="how epsilon falls")
    quantiles: int | None = Field(
        None, ge=2, le=1000, description="quantiles learned of each action's return; null: its mean, or 32 with risk"
    )
    kappa: float = Field(
        0.1, ge=0, description="error up to which the quantiles' loss is quadratic, in rewards; 1 as published"
    )

    @property
    def learned_quantiles(self) -> int | None:
        """How many quantiles are learned of each action's return; None: only the mean."""
        return 32 if self.quantiles is None and self.risk is not None else self.quantiles

    @model_validator(mode="after")
    def _reaches_the_tail(self) -> DQNOptions:
        if self.risk is not None and (self.learned_quantiles or 0) * self.risk.cvar < 1:
            raise ValueError(
                f"quantiles {self.learned_quantiles} are too few for the tail of risk.cvar {self.risk.cvar}: must be at "
                "least 1 / cvar"
            )
        return self

    @model_validator(mode="after")
    def _holds_a_sequence(self) -> DQNOptions:
        if self.recurrent != "none" and self.learned_quantiles is not None:
            raise ValueError(
                f"recurrent {self.recurrent}: quantiles and risk are learned without a cell only; use stack"
            )
        if self.recurrent != "none" and self.batch_size < self.sequence:
            raise ValueError(f"batch_size {self.batch_size} must not be below sequence {self.sequence}, when recurrent")
        return self


class DDPGOptions(ReplayOptions):
    """Deep deterministic policy gradient on a box of actions (Lillicrap et al. 2016)."""

    n_step: PositiveInt = Field(
        1, description="as DQN's; each further period brings the noise's own losses into returns"
    )
    lr: float = Field(2.5e-3, gt=0, description="Adam's step size at the start, of the actor")
    lr_final: float = Field(0.1, ge=0, le=1, description="step size at the end of the run, as a fraction of lr")
    critic_lr: float = Field(3.5e-3, gt=0, description="the critic's step size at the start; lr is the actor's")
    tau: float = Field(0.03, gt=0, le=1, description="fraction of the way that target networks move per update")
    saturation: float = Field(0.1, ge=0, description="weight of the penalty on outputs far out on the actor's tanh")
    noise: float = Field(0.2, ge=0, description="sd of the noise at the start; actions lie in [-1, 1]")
    noise_final: float = Field(0.1, ge=0, description="the same at noise_fraction of the run and after")
    noise_fraction: float = Field(0.7, gt=0, le=1, description="fraction of the run over which the noise falls")
    noise_schedule: Literal["linear", "exponential"] = Field("linear", description="how the noise falls")


class A2COptions(RecurrentOptions):
    """Advantage actor-critic (Mnih et al. 2016) with PPO's clipped objective (Schulman et al. 2017): a Gaussian head on a
    box, a categorical one on a grid. ``clip: null, repeat: 1, lr: 0.001`` is A2C as published."""

    lr: float = Field(
        3e-3,
        gt=0,
        description="Adam's step size at the start; left out, of a seller that plays more than 1,000,000 periods so much less: "
        ".001 at 3,000,000",
    )

    segment: PositiveInt = Field(10, description="periods of all rows per update")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="weight of longer returns in the advantage")
    entropy: float = Field(0.005, ge=0, description="weight of the entropy bonus at the start, per nat")
    entropy_final: float = Field(0.0, ge=0, description="the same at the end of the run; linear")
    value: float = Field(0.5, gt=0, description="weight of the critic's loss")
    saturation: float = Field(0.1, ge=0, description="weight of the penalty on a Gaussian head's means out of range")
    max_grad_norm: float | None = Field(0.5, gt=0, description="as the other learners'; one norm for actor and critic")
    clip: float | None = Field(
        0.2, gt=0, lt=1, description="bound on a probability's relative change in a segment; null: none, as A2C has it"
    )
    repeat: PositiveInt = Field(5, description="passes over a segment")
    batch_size: PositiveInt | None = Field(
        512, description="transitions per gradient step, unless a segment has fewer; null: the whole segment"
    )
    normalize_advantages: bool = Field(True, description="give a segment's advantages mean 0 and standard deviation 1")
    initial_sd: float = Field(0.5, gt=0, description="sd of a Gaussian head at the start; actions lie in [-1, 1]")

    def over(self, periods: int) -> Self:
        """Smaller steps where there are more of them: at .003 throughout three times the periods made a worse seller
        (tests/experiments/learning_table.md)."""
        if "lr" in self.model_fields_set or periods <= USUAL_PERIODS:
            return self
        return self.model_copy(update={"lr": self.lr * USUAL_PERIODS / periods})


class Kind(NamedTuple):
    """What a configuration may say of a learner, and which encodings of decisions it can use (the first where the seat
    asks for another)."""

    options: type[LearnerOptions]
    encodings: tuple[str, ...]


# The learners that configurations may name; policies.learners.registry says how they are built.
KINDS: dict[str, Kind] = {
    "dqn": Kind(DQNOptions, ("grid",)),
    "a2c": Kind(A2COptions, ("box", "grid")),
    "ddpg": Kind(DDPGOptions, ("box",)),
}
