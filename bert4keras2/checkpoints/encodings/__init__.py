"""How files are laid out, whatever they hold: tables, archives, pickles, HDF5; nothing is believed unchecked."""
