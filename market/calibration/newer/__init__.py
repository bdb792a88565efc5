"""Sales that are newer than a market: whether they are what it sells, what of it moved, and the market that they are of."""
