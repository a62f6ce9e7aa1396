"""Watch any PyTorch network while it trains: hooks, and the log that they write.

`layers` decides what is watched, `steps` tells when a step of training has ended, `reading` is what
one tensor comes to, `bins` and `log` are what is kept. `watch` puts them together. `picture`
draws a log; no host here: `jupyter/watched.py` shows a log while it grows.
"""
