"""`provision timeline`: what a run did and when, as bars in a terminal and as a page.

model.py makes a `Timeline` of a run's record, terminal.py draws it in lines, chart.py as SVG;
topology.py draws what exists as SVG, and page.py puts both into one HTML file.
"""
