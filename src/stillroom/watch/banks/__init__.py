"""Known collections of questions, and which calls asked them: by prints and sketches, without any call's text."""
