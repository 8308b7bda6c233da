"""One request and its response: bytes, transports, the record of samples."""
