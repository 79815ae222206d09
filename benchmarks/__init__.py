"""What Tidegate costs beside what one would write by hand: ``make bench``. How each figure comes about: docs/performance.md."""
