"""People over HTTP: passwords, second factors, links, sessions, and guesses that are slowed."""
