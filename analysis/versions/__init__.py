"""What is compared beside the split: health, replicas, connections, load."""
