"""Cases from NIfTI, MHA, NRRD and DICOM files, and label maps back into the source's grid.

Nothing is ever resampled: axes are permuted and flipped to one orientation, LPS, and the case
keeps its source's grid, so that a label map can be written back voxel for voxel. Needs the extra
``segbench[convert]``.
"""
