"""The process that runs a notebook's cells: `python -m app.kernel`, started by `KernelProcess`.

It never imports Textual; the program that shows the notebook never runs a cell.
"""
