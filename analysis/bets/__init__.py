"""Bets against a hypothesis: the evidence of one run of connections."""
