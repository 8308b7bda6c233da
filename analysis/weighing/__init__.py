"""One run folded: batches go in, in send order; everything that its report says comes out."""
