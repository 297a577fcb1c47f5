"""How the network and the box make the prior of the random walk."""

NETWORK_WEIGHT, BOX_WEIGHT = 0.2, 0.5  # of their log-odds
NETWORK_WEIGHT_ALONE = 0.7  # without a box
MAX_REACH = 1 / 4  # of the walk without edges, as a fraction of the object's width
MAX_NETWORK_ODDS = 8.0  # log-odds; a voxel outside the network's window has the negative
