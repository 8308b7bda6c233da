"""HTTP/1 as bytes in and bytes out; no socket here."""
