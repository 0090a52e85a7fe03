"""What runs jobs (`worker.seams.Runner`)."""
