"""The same job done without Tidegate's worker, as their own documentation recommends; each is a process of its own."""
