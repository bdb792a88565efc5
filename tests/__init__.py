"""What holds of Bazaar; folders have the names of the product's."""
