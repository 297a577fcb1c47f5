"""segbench: replay the interactive 3D segmentation protocol, bit for bit, against any model."""
