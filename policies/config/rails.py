"""Rails: what a seller's decisions in real life are kept within, whatever its policy says. Each is optional."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from market.spec.models import Model
from policies.config.fields import number

Number = Annotated[float, BeforeValidator(number)]
Positive = Annotated[Number, Field(gt=0)]


class Rails(Model):
    """Applied to a price in the order in which they stand here, the floor of the margin last, so that it always wins; then to an order.

    A later rail wins over an earlier one: a price that may not move far and lies below the floor is the floor.
    """

    rivals: Positive | None = Field(
        None, description="most that a price lies from the rivals' median, as a share of it"
    )
    change: Positive | None = Field(None, description="most that a price moves in one decision, as a share of the last")
    on_change: Literal["clamp", "hold"] = Field(
        "clamp", description="a price that would move further goes as far as it may, or stays where it is"
    )
    price: tuple[Number, Number] | None = Field(None, description="least and highest price, money")
    endings: tuple[Annotated[Number, Field(ge=0, lt=1)], ...] = Field(
        (), description="what prices end in, as .99: the nearest such price that the rails before allow"
    )
    margin: Annotated[Number, Field(gt=-1)] | None = Field(
        None, description="prices are at least unit cost x (1 + margin), by the cost that the state gives"
    )
    multiple: Positive | None = Field(None, description="orders are multiples of so many units, the nearest")
    least_order: Positive | None = Field(
        None, description="units that an order has at least; what is less than half of it is no order"
    )
    supply: Positive | None = Field(
        None, description="stock on hand and on order lasts so many periods at most, at the seller's usual sales"
    )
    order: Positive | None = Field(None, description="units that an order has at most")
    budget: Positive | None = Field(None, description="money that an order costs at most, unit cost x units")
    fallback: str | None = Field(
        None, description="rules that decide where the policy cannot: an input is missing or far outside, or it fails"
    )
    outside: Positive = Field(
        0.5, description="how far outside is: beyond what was met in training, as a share of the range that was met"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Rails:
        if self.price is not None and not 0 < self.price[0] <= self.price[1]:
            raise ValueError("price: must be [least, highest], the first above 0 and not above the second")
        return self
