"""The fold over samples in send order, the rules that end it, and its intervals."""
