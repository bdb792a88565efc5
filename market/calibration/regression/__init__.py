"""The regression: Berry's inversion laid out as a table, instruments, two-stage least squares, and its standard errors.

N sellers, R rows, K slopes.
"""
