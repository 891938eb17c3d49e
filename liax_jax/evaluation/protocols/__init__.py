"""The paper's protocols, one file each; each has a NAME and a function of that name."""
