"""The marketplace: sellers who compete for one stream of customers, with stock and prices."""
