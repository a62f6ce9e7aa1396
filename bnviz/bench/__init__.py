"""How fast the book is, beside what a reader would otherwise use: `python -m bnviz.bench`.

Every row is a ratio. Both sides run in turns in one process or one browser page, so that a noisy
machine slows both; the stored figure is the median over the turns, with the quartiles.
"""

__all__: list[str] = []
