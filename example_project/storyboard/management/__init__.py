"""Commands of the storyboard."""
