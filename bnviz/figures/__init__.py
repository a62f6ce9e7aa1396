"""Templates of the figures, one module each: arrays to Plotly, no computing, no theme."""
