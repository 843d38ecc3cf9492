"""Files that settings name: which of them a process can use, and the rules about them."""
