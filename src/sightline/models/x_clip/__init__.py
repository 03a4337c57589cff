"""X-CLIP in the places that the reference gives its parts; they are in `sightline.models.xclip`."""
