"""Web pages as a browser shows and prints them."""
