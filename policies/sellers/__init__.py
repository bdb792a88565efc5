"""Whoever can sit in a seat of a market and decide: the ``protocol.Seller`` protocol and those that satisfy it.

``network_seller`` plays a saved network, ``mixture`` draws one of several sellers for each episode, ``rules`` are fixed
competitors. ``checkpoint`` saves and loads sellers, ``rollout.play`` plays them against one another.
"""
