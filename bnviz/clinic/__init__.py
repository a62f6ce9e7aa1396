"""Examine a network of the reader's own: what is wrong with its Batch Normalization, in numbers.

`patient` runs the model and leaves it as it was, `measured` holds what the runs show, `statistics`,
`neighbours` and `units` look for faults in it, each a function from `Measured` to findings, `logs`
in a log of a training. `examine` puts them together. A finding's level follows from what was
measured, not from what is there.
"""
