"""The kernel's host: figures as ipywidgets around a plotly FigureWidget."""
