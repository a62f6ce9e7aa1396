"""How fast the book is, beside what a reader would otherwise use: `python -m bnviz.bench`.

Every row is a ratio. Both sides run in turns in one process, so that a noisy machine slows both;
the figure is the median over the turns, with the quartiles.
"""
