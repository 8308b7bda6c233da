"""What people look at: figures, pages, documents, a notebook's cell."""
