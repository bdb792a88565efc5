"""Sellers against fixed competitors, in the same seats and on the same customers.

``evaluate`` is the command, ``compare`` plays one seat against one line-up, ``line_ups`` says who the rivals and
competitors are, ``run_sellers`` brings back those of a run, ``selection`` chooses a learner's best policy, ``stress``
changes the market under them, and ``statistics`` has every interval.
"""
