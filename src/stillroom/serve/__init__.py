"""A local model behind OpenAI's chat completions. Settings are arguments of `run.serve`."""
