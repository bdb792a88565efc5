"""What a policy does, asked of the policy itself: in states of greedy play, or in any that one likes.

``states.greedy_rollout`` collects states, ``policy_map.policy_map`` draws decisions over two features,
``decision_tree.grow_tree`` tells them in sentences, and ``importance.importances`` says what they depend on.
"""
