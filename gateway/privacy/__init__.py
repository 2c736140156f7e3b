"""What the service promises of people's data, told and done over HTTP."""
