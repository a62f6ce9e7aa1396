"""A figure as a still picture: for print, for cards, and for readers without JavaScript."""
