"""``weighbridge serve``: doors through which controllers and scripts get a verdict."""
