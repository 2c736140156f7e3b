"""All that Ephemera ever writes down: accounts, keys, credits."""
