"""The sellers: fixed competitors and learners, self-play training, and judging a seller against competitors."""
