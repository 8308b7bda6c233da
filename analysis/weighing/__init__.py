"""The fold over one run: batches go in, in send order; the report's contents come out."""
