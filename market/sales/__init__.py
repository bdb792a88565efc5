"""Real sales: reading and checking a sales file, estimating its demand, replaying and forecasting it."""
