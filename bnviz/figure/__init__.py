"""What a figure is: controls, a function, a template and bindings, and one run of it.

`explorer` describes a figure, `controls` what can be moved, `run` how one that trains goes on. A
host (`bnviz.jupyter`, `bnviz.site`) reads the description and adds nothing to it.
"""
