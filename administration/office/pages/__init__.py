"""The office's pages, one module for each step of the way. `base` and `acting` say what a page is."""
