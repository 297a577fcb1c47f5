"""The numbers of the random walk in `_random_walk`, without its libraries.

The training of `ours` repeats the walk in torch, where scipy may be missing.
"""

MARGIN = 0.4  # fraction of the box's size, on each side
ELLIPSOID_ODDS = 12.0  # log-odds at the box's centre; 0 on the ellipsoid, negative outside
MIN_ELLIPSOID_ODDS = -5.0
OUTSIDE_Z_ODDS = 3.0  # log-odds subtracted above and below the box
MAX_INTENSITY_ODDS = 0.5  # limit of the intensities' log-odds
HISTOGRAM_BINS = 48
ITERATIONS = 3
BLUR_SIGMA = 0.7  # grid voxels
CLICK_ODDS = 3.0  # log-odds wanted at a click
MIN_CLICK_CHANGE, MAX_CLICK_CHANGE = 1.0, 8.0  # log-odds that a click adds
SIGMA_PER_DISTANCE = 1.5  # of a click's Gaussian, per voxel of its distance
MIN_SIGMA, MAX_SIGMA = 2.0, 6.0  # image voxels; the latter without a box
MAX_SIGMA_IN_BOX = 0.2  # fraction of the box's size
SEED_RADIUS = 0.8  # fraction of the click's distance
DEFAULT_DISTANCE = 2.0  # image voxels, if no border is near
SEARCH_RADIUS = 24  # image voxels, of the search for a border
SMOOTHNESS = 20.0
BETA = 2.0  # Grady's beta: sensitivity to intensity differences
TINY = 1e-9
NO_BOX_ODDS = -2.0  # log-odds everywhere, for a label without a box
