"""Many runs: settings searched over configurations, and the processes they run in."""
