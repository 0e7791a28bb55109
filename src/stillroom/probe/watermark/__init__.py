"""Whether a text carries the gateway's watermark, and whether a suspect learned from texts that do."""
