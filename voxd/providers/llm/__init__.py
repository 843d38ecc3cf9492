"""Language models, one file per vendor, and the shapes that several of them share."""
