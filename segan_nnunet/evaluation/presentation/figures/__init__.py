"""The pictures of a comparison, in PNG for the screen and PDF for print."""
