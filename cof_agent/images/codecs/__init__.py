"""From encoded bytes to pixels: what each format is, costs and hides."""
