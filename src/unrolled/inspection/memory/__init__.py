"""How far back the memory of a model reaches: what ``unrolled.diagnose`` measures, says and draws."""
