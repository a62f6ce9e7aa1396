"""The plotly templates of the figures, one module each, named as the figure is."""
