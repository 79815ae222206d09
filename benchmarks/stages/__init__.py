"""What the steps of a chunk cost: the worker's own Flow in this process, chunk after chunk, its steps timed from outside."""
