"""The `tune:` section of a configuration: which options `bazaar tune` searches, each over which values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from market.spec.models import Model
from policies.config.fields import number

WAYS = ("range", "log", "choice")


def _scalar(value: object) -> object:
    try:
        return number(value)
    except ValueError:
        return value


Number = Annotated[int | float, BeforeValidator(number)]
Bounds = tuple[Number, Number]


class Dimension(Model):
    """One option's values. Ends that are whole numbers of an option that takes whole numbers give whole numbers."""

    range: Bounds | None = Field(None, description="evenly between two ends")
    log: Bounds | None = Field(None, description="evenly in the logarithm between two ends above 0")
    choice: tuple[Annotated[Any, BeforeValidator(_scalar)], ...] | None = Field(None, description="out of a list")
    step: Annotated[Number, Field(gt=0)] | None = Field(None, description="distance of a range's values")

    @model_validator(mode="after")
    def _one_way(self) -> Dimension:
        given = [name for name in WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs one of {', '.join(WAYS)}; it has {', '.join(given) or 'none'}")
        if self.choice is not None and len(self.choice) < 2:
            raise ValueError("choice needs two values or more")
        if self.step is not None and self.range is None:
            raise ValueError("step goes with range only")
        if self.ends is not None and not self.ends[0] < self.ends[1]:
            raise ValueError(f"the first end must be below the second, got {list(self.ends)}")
        if self.log is not None and self.log[0] <= 0:
            raise ValueError(f"log needs ends above 0, got {list(self.log)}")
        return self

    @property
    def ends(self) -> Bounds | None:
        """Of a range or log."""
        return self.range or self.log

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that must suit the option for all to suit it."""
        return self.ends or self.choice or ()


def flatten(section: Any, path: str = "") -> Any:
    """The section with its keys joined to paths: {learners: {dqn: {lr: X}}} and {learners.dqn: {lr: X}} are the same."""
    if not isinstance(section, dict) or set(section) & {*WAYS, "step"} or not section:
        return {path: section} if path else section
    found: dict[str, Any] = {}
    for key, value in section.items():
        found |= flatten(value, f"{path}.{key}" if path else str(key))
    return found
