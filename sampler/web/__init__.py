"""What the HTTP doors share: address, tokens, TLS, limits, access log, health, errors."""
