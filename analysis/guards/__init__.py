"""What a PASS is held against: drift, runs, dependence between neighbours."""
