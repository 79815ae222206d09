"""The same job done without Tidegate's worker, as their own documentation recommends; each is a process of its own.

By hand on the product's own requirements: handwritten. In an environment of their own: Faust, Quix Streams, Bytewax.
"""
