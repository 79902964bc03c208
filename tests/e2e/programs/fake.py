"""Only a name: the fake java acts by the arguments that follow it. Real Spark never runs this."""
