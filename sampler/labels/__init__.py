"""Where the version is read in a response."""
