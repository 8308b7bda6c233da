"""What is compared besides the split: health, replicas, connections, load."""
