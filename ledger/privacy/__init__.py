"""What is known of people and accounts, by a table: for how long, who is given it, how it goes."""
