"""When requests are sent, how many, and what the client can carry."""
