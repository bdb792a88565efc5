"""What a configuration may say of what a learner is after: its reward, and how much the lower tail counts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator


class Mixture(BaseModel):
    """A reward of ``own`` x own profit + (1 - ``own``) x the market's total."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    own: float = Field(ge=0, le=1, description="weight of own profit")


def _reward(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    try:
        return validate(value)
    except ValidationError:
        raise ValueError("must be own, minus_best_rival, or {own: w} with w from 0 to 1") from None


Reward = Annotated[Literal["own", "minus_best_rival"] | Mixture, WrapValidator(_reward)]


class Risk(BaseModel):
    """How much the lower tail counts beside the mean: (1 - ``weight``) x mean + ``weight`` x CVaR."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cvar: float = Field(gt=0, le=1, description="share of the worst outcomes that CVaR is the mean of")
    weight: float = Field(1.0, ge=0, le=1, description="weight of CVaR in the objective; the mean has the rest")
