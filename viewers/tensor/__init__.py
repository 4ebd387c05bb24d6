"""Pictures of one tensor as styled text: statistics, histogram, heat map, table, image.

Each function takes plain data of `framework.trace.protocol` and a size, and returns lines of
`viewers.text` of exactly that size; none ever raises for what a tensor or a peer may hold. With
``ascii`` only ASCII is drawn, and no meaning rests on a colour: NaN and Inf have letters.
"""

from viewers.tensor.heatmap import LIGHT_PALETTE, PALETTE, heatmap_lines, wanted_grid
from viewers.tensor.histogram import histogram_line, histogram_lines
from viewers.tensor.picture import image_lines, image_slices, picture_lines
from viewers.tensor.statistics import picture_text, statistics_lines, summary_line
from viewers.tensor.table import table_lines, wanted_table

__all__ = [
    "LIGHT_PALETTE",
    "PALETTE",
    "heatmap_lines",
    "histogram_line",
    "histogram_lines",
    "image_lines",
    "image_slices",
    "picture_lines",
    "picture_text",
    "statistics_lines",
    "summary_line",
    "table_lines",
    "wanted_grid",
    "wanted_table",
]
